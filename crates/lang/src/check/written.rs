//! What is certainly written when a step is entered, on every way to it.

use std::collections::BTreeSet;

use botpipe_kernel::ids::ArtifactName;
use botpipe_kernel::plan::Join;

use super::flow::{Edge, edges};
use crate::document::{ActionDecl, ChildrenDecl, Document, RouteDecl, StepDecl, WorkDecl};

/// Some of a document's artifacts, a bit for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written(Vec<u64>);

impl Written {
    fn nothing(document: &Document) -> Self {
        Self(vec![0; document.artifacts.len().div_ceil(64)])
    }

    /// Whether an artifact is among them; none that is not declared is.
    pub(super) fn has(&self, document: &Document, name: &ArtifactName) -> bool {
        let at = document.artifacts.index(name.as_str());
        at.is_some_and(|at| self.0[at / 64] >> (at % 64) & 1 == 1)
    }

    pub(super) fn add<'n>(
        &mut self,
        document: &Document,
        names: impl IntoIterator<Item = &'n ArtifactName>,
    ) {
        for name in names {
            if let Some(at) = document.artifacts.index(name.as_str()) {
                self.0[at / 64] |= 1 << (at % 64);
            }
        }
    }

    /// Keeps what is in the other too; whether anything went.
    fn keep(&mut self, other: &Self) -> bool {
        let mut went = false;
        for (own, other) in self.0.iter_mut().zip(&other.0) {
            went |= *own & !other != 0;
            *own &= other;
        }
        went
    }
}

/// For each step what is certainly written when it is entered; `None`: never entered.
pub(super) fn before(document: &Document) -> Vec<Option<Written>> {
    let mut before: Vec<Option<Written>> = vec![None; document.steps.len()];
    let Some(entry) = document.entry_index() else { return before };
    before[entry] = Some(Written::nothing(document));
    // In the order of the file most steps are looked at once.
    let mut open = BTreeSet::from([entry]);
    while let Some(from) = open.pop_first() {
        let step = &document.steps[from];
        let Some(known) = before[from].clone() else { continue };
        for route in &step.routes {
            let mut after = known.clone();
            after.add(document, ensured(document, step, route));
            for edge in edges(document, from, route) {
                let Edge::Step(to) = edge else { continue };
                let news = match &mut before[to] {
                    Some(met) => met.keep(&after),
                    none => {
                        *none = Some(after.clone());
                        true
                    }
                };
                if news {
                    open.insert(to);
                }
            }
        }
    }
    before
}

/// What a route makes sure of.
pub(super) fn ensured<'d>(
    document: &'d Document,
    step: &'d StepDecl,
    route: &'d RouteDecl,
) -> Vec<&'d ArtifactName> {
    // A path that names the item says nothing of the next item's file.
    let advances = matches!(route.action, ActionDecl::Items { form, .. } if form.moves());
    let lasting = |name: &&ArtifactName| {
        !advances || document.artifact(name).is_none_or(|it| !super::paths::names_item(it))
    };
    let required = |name: &&ArtifactName| document.artifact(name).is_some_and(|it| it.required);
    if let Some(names) = &route.required_writes {
        return names.iter().map(|name| &name.value).filter(lasting).collect();
    }
    let own = step.work.writes().map(|name| &name.value);
    own.chain(by_branches(step, route)).filter(required).filter(lasting).collect()
}

/// What branches have written when all of them ended well.
fn by_branches<'d>(step: &'d StepDecl, route: &'d RouteDecl) -> Vec<&'d ArtifactName> {
    match &step.work {
        WorkDecl::Group(group)
            if group.fan_in.is_none()
                && group.join == Join::AllDone
                && route.tag.value.as_str() == "done"
                && matches!(group.children, ChildrenDecl::Branches(_)) =>
        {
            group.branches().flat_map(|it| it.step.work.writes()).map(|it| &it.value).collect()
        }
        _ => Vec::new(),
    }
}
