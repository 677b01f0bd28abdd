//! A list of things with names, in which the first of a name is found at once.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};

use botpipe_kernel::ids::StepId;

use super::{ArtifactDecl, StepDecl};
use crate::source::Spanned;

/// What has a name, which never changes.
pub(crate) trait HasName {
    fn name(&self) -> &str;
}

/// The things in their order.
#[derive(Debug)]
pub(crate) struct Named<T> {
    all: Vec<T>,
    first: HashMap<String, usize>,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self { all: Vec::new(), first: HashMap::new() }
    }
}

impl<T: HasName> Named<T> {
    pub(crate) fn push(&mut self, one: T) {
        self.first.entry(one.name().to_owned()).or_insert(self.all.len());
        self.all.push(one);
    }

    /// Makes room for so many more.
    pub(crate) fn reserve(&mut self, more: usize) {
        self.all.reserve_exact(more);
        self.first.reserve(more);
    }

    /// Where the first of that name stands.
    pub(crate) fn index(&self, name: &str) -> Option<usize> {
        self.first.get(name).copied()
    }

    /// The first of that name.
    pub(crate) fn named(&self, name: &str) -> Option<&T> {
        self.all.get(self.index(name)?)
    }
}

impl<T> Deref for Named<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.all
    }
}

impl<T> DerefMut for Named<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.all
    }
}

impl<'a, T> IntoIterator for &'a Named<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.iter()
    }
}

impl<T> IntoIterator for Named<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.into_iter()
    }
}

impl HasName for StepDecl {
    fn name(&self) -> &str {
        self.id.value.as_str()
    }
}

impl HasName for ArtifactDecl {
    fn name(&self) -> &str {
        self.name.value.as_str()
    }
}

impl HasName for Spanned<StepId> {
    fn name(&self) -> &str {
        self.value.as_str()
    }
}
