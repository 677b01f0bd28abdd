//! A value for each place of a run: a map that is cheap to clone however long it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::state::Place;

/// A value per place.
///
/// The kernel decides on a copy of the run, several times a step, and a run of many items has many
/// places: they stand on shelves, a copy shares them all, and a change copies one shelf.
///
/// # Shape
/// Stored as a plain map: `{"each[item-1]": 1}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    into = "BTreeMap<Place, T>",
    from = "BTreeMap<Place, T>",
    bound(serialize = "T: Clone + Serialize", deserialize = "T: Clone + Deserialize<'de>")
)]
pub struct Tally<T> {
    shelves: Vec<Arc<BTreeMap<Place, T>>>,
}

const SHELVES: usize = 128;

impl<T> Default for Tally<T> {
    fn default() -> Self {
        Self { shelves: (0..SHELVES).map(|_| Arc::default()).collect() }
    }
}

impl<T: Clone> Tally<T> {
    /// The value of a place; nothing where none was ever set.
    pub fn get(&self, place: &Place) -> T
    where
        T: Default,
    {
        self.shelves[shelf(place)].get(place).cloned().unwrap_or_default()
    }

    /// Sets the value of a place.
    pub fn set(&mut self, place: Place, value: T) {
        let at = shelf(&place);
        Arc::make_mut(&mut self.shelves[at]).insert(place, value);
    }

    /// Every place with a value, in order.
    pub fn to_map(&self) -> BTreeMap<Place, T> {
        let all = self.shelves.iter().flat_map(|shelf| shelf.iter());
        all.map(|(place, value)| (place.clone(), value.clone())).collect()
    }
}

impl<T: Clone> From<Tally<T>> for BTreeMap<Place, T> {
    fn from(tally: Tally<T>) -> Self {
        tally.to_map()
    }
}

impl<T: Clone> From<BTreeMap<Place, T>> for Tally<T> {
    fn from(map: BTreeMap<Place, T>) -> Self {
        let mut tally = Self::default();
        for (place, value) in map {
            tally.set(place, value);
        }
        tally
    }
}

/// The shelf of a place: the same on every machine, spread by the bytes of its names (FNV-1a).
fn shelf(place: &Place) -> usize {
    let item = place.item.as_ref().map_or("", |item| item.as_str());
    let bytes = place.step.as_str().bytes().chain(item.bytes());
    let hash = bytes
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash as usize % SHELVES
}
