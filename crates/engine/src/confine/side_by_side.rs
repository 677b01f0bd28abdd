//! The same work on many things, on every core.

use std::num::NonZero;
use std::sync::LazyLock;
use std::thread;

/// So many are worth a thread: below, to start one takes longer than the work.
const WORTH_ONE: usize = 256;

/// As the system says it; asked once, since the answer is found in many files.
static CORES: LazyLock<usize> =
    LazyLock::new(|| thread::available_parallelism().map_or(1, NonZero::get));

/// What comes of each, in their order.
pub(super) fn map<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let most = all.len() / WORTH_ONE;
    if most < 2 || *CORES < 2 {
        return all.iter().map(work).collect();
    }
    let (of_own, others) = all.split_at(all.len().div_ceil(most.min(*CORES)));
    let some = |some: &[T]| -> Vec<R> { some.iter().map(&work).collect() };
    thread::scope(|scope| {
        let others: Vec<_> = others
            .chunks(of_own.len())
            .map(|others| (others, thread::Builder::new().spawn_scoped(scope, || some(others))))
            .collect();
        let mut found = some(of_own);
        for (others, worker) in others {
            // Where there may be no more threads, it is done here.
            found.extend(match worker {
                Ok(worker) => {
                    worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                }
                Err(_) => some(others),
            });
        }
        found
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_thing_has_what_came_of_it() {
        for length in [0, 1, 511, 512, 513, 5_003] {
            let all: Vec<usize> = (0..length).collect();
            let twice: Vec<usize> = all.iter().map(|it| 2 * it).collect();
            assert_eq!(super::map(&all, |it| 2 * it), twice);
        }
    }
}
