//! What the next launch will most likely need, taken from the last: the parts of a confinement that can be made
//! before a launch is known.

use std::path::PathBuf;

use super::wire;
use crate::{Account, Bounds, Confinement, Layer, Network};

/// Longer, nothing is foreseen: a pipe takes it whole, whoever reads.
const LONGEST: usize = 32 << 10;

/// What is foreseen after a launch, as bytes for the fork server; empty for nothing.
pub(in super::super) fn after(confinement: Option<&Confinement>) -> Vec<u8> {
    let fields = wire::fields(confinement.map(apart).as_ref());
    let bytes: Vec<u8> =
        fields.iter().flat_map(|field| field.iter().chain(&[0])).copied().collect();
    if bytes.len() > LONGEST { Vec::new() } else { bytes }
}

/// Reads [`after`].
pub(super) fn read(bytes: &[u8]) -> Confinement {
    let mut fields = bytes.split(|byte| *byte == 0);
    wire::read(&mut || fields.next()).and_then(|read| read.0).unwrap_or_default()
}

/// Who the program will be.
pub(in super::super) fn account(bytes: &[u8]) -> Option<Account> {
    read(bytes).account
}

/// The parts of a confinement that are the same whatever else there is.
fn apart(confinement: &Confinement) -> Confinement {
    let Confinement { files, network, no_listening: _, bounds, account } = confinement;
    let layers = files.iter().flatten().filter(|layer| is_apart(layer));
    Confinement {
        files: Some(layers.cloned().collect()),
        network: network.clone(),
        no_listening: false,
        bounds: Bounds { in_memory: bounds.in_memory, ..Bounds::default() },
        account: *account,
    }
}

fn is_apart(layer: &Layer) -> bool {
    match layer {
        Layer::Private(_) | Layer::Empty(_) | Layer::Text(_) => true,
        // What is deeper is made with the rights of the folders around it, as they are by then.
        Layer::Scratch(scratch) => {
            let deep = |name: &PathBuf| name.components().nth(1).is_some();
            scratch.folders.is_empty() && !scratch.hidden.iter().any(deep)
        }
        Layer::Shown(_) | Layer::Writable(_) | Layer::Masked(_) => false,
    }
}

/// The ports that are listened on.
pub(super) fn doors(network: &Network) -> &[u16] {
    match network {
        Network::Host => &[],
        Network::Own { doors } => doors,
    }
}

#[cfg(test)]
mod tests {
    use super::{account, after, read};
    use crate::{Account, Confinement, Layer, Network, Scratch};

    #[test]
    fn what_depends_on_nothing_else_is_foreseen() {
        let scratch = |hidden: &str| {
            Layer::Scratch(Scratch {
                at: "/c".into(),
                hidden: vec![hidden.into()],
                writable: true,
                ..Scratch::default()
            })
        };
        let layers = vec![
            Layer::Private("/tmp".into()),
            Layer::Writable("/w".into()),
            scratch("credentials"),
            scratch("deep/credentials"),
            Layer::Masked("/etc/shadow".into()),
        ];
        let network = Network::Own { doors: vec![3128] };
        let launch = Confinement {
            files: Some(layers.clone()),
            network: network.clone(),
            no_listening: true,
            account: Some(Account { user: 7, group: 8 }),
            ..Confinement::default()
        };
        let foreseen = read(&after(Some(&launch)));
        assert_eq!(foreseen.files, Some(vec![layers[0].clone(), layers[2].clone()]));
        assert_eq!(foreseen.network, network);
        assert_eq!(account(&after(Some(&launch))), launch.account);
    }

    #[test]
    fn nothing_is_foreseen_of_a_launch_that_is_too_long_or_none() {
        let long = Layer::Text(crate::Text { at: "/x".into(), text: "x".repeat(40 << 10) });
        let long = Confinement { files: Some(vec![long]), ..Confinement::default() };
        assert_eq!(after(Some(&long)), []);
        for bytes in [after(None), Vec::new(), b"nonsense".to_vec()] {
            assert_eq!(read(&bytes), Confinement::default());
        }
    }
}
