//! How often each place was visited: a map that is cheap to clone however long it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::state::Place;

/// A count per place.
///
/// The kernel decides on a copy of the run, several times a step, and a run of many items has many
/// places: they stand on shelves, a copy shares them all, and a change copies one shelf.
///
/// # Shape
/// Stored as a plain map: `{"each[item-1]": 1}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "BTreeMap<Place, u32>", from = "BTreeMap<Place, u32>")]
pub struct Tally {
    shelves: Vec<Arc<BTreeMap<Place, u32>>>,
}

const SHELVES: usize = 128;

impl Default for Tally {
    fn default() -> Self {
        Self { shelves: vec![Arc::default(); SHELVES] }
    }
}

impl Tally {
    /// The count of a place; 0 where none was ever set.
    pub fn get(&self, place: &Place) -> u32 {
        self.shelves[shelf(place)].get(place).copied().unwrap_or(0)
    }

    /// Sets the count of a place.
    pub fn set(&mut self, place: Place, count: u32) {
        let at = shelf(&place);
        Arc::make_mut(&mut self.shelves[at]).insert(place, count);
    }

    /// Every place with a count, in order.
    pub fn to_map(&self) -> BTreeMap<Place, u32> {
        let all = self.shelves.iter().flat_map(|shelf| shelf.iter());
        all.map(|(place, count)| (place.clone(), *count)).collect()
    }
}

impl From<Tally> for BTreeMap<Place, u32> {
    fn from(tally: Tally) -> Self {
        tally.to_map()
    }
}

impl From<BTreeMap<Place, u32>> for Tally {
    fn from(map: BTreeMap<Place, u32>) -> Self {
        let mut tally = Self::default();
        for (place, count) in map {
            tally.set(place, count);
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
