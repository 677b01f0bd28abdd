//! What each layer of a policy says by itself, so that a refusal names all that have to give.

use std::collections::BTreeMap;

use botpipe_kernel::plan::{NetworkMode, Policy};

use super::control::{Control, Origin};
use super::resolve::{FILES, says};

/// The layers of a policy: the authors' as one, then each ceiling. They bind nothing: whatever they are, two policies
/// are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    layers: Vec<Layer>,
    /// Whose each of [`super::Resolved::domains`] is.
    pub(crate) domains: Vec<Vec<Origin>>,
}

/// What one of them says, with its paths in one form.
#[derive(Debug, Clone)]
struct Layer {
    policy: Policy,
    of: Of,
}

#[derive(Debug, Clone)]
enum Of {
    /// Control by control.
    Authors(BTreeMap<Control, Origin>),
    Ceiling(Origin),
}

impl PartialEq for Said {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Said {}

impl Said {
    pub(super) fn by_authors(&mut self, policy: Policy, origins: BTreeMap<Control, Origin>) {
        self.layers.push(Layer { policy, of: Of::Authors(origins) });
    }

    pub(super) fn by_ceiling(&mut self, policy: Policy, origin: Origin) {
        self.layers.push(Layer { policy, of: Of::Ceiling(origin) });
    }

    /// The line of each layer that has one, with whose it is where it is not the authors' alone to say: of ceilings
    /// are asked those that say something of the control.
    pub(crate) fn lines(
        &self,
        control: Control,
        line: impl Fn(&Policy) -> Option<String>,
    ) -> Vec<String> {
        let authors_alone = self.is_authors_alone(control);
        let asked =
            |layer: &&Layer| matches!(layer.of, Of::Authors(_)) || layer.is_ceilings(control);
        let lines = self.layers.iter().filter(asked).filter_map(|layer| {
            let line = line(&layer.policy)?;
            Some(if authors_alone { line } else { format!("{line} {}", layer.whose(control)) })
        });
        lines.collect()
    }

    /// What each layer says of a list of paths.
    pub(crate) fn lists(&self, control: Control) -> impl Iterator<Item = &[String]> {
        self.layers.iter().filter_map(move |layer| paths_of(&layer.policy, control))
    }

    /// The ceilings that speak of paths, and so say that there is a sandbox.
    pub(crate) fn ceilings_of_files(&self) -> impl Iterator<Item = String> {
        let speaks = |it: &&Layer| FILES.iter().any(|control| it.is_ceilings(*control));
        self.layers.iter().filter(speaks).map(|it| it.whose(Control::SandboxMode))
    }

    /// Whether no ceiling says anything of a control.
    pub(crate) fn is_authors_alone(&self, control: Control) -> bool {
        !self.layers.iter().any(|layer| layer.is_ceilings(control))
    }

    /// What of the network each layer says that says anything of it, and whose that is; the authors always do.
    pub(crate) fn networks(&self) -> impl Iterator<Item = (NetworkMode, &Policy, String)> {
        self.layers.iter().filter_map(|layer| {
            let mode = match (&layer.of, layer.policy.network) {
                (_, Some(mode)) => mode,
                (Of::Authors(_), None) => NetworkMode::None,
                (Of::Ceiling(_), None) => return None,
            };
            Some((mode, &layer.policy, layer.whose(Control::Network)))
        })
    }
}

impl Layer {
    /// Whether it is a ceiling's, and says something of the control.
    fn is_ceilings(&self, control: Control) -> bool {
        matches!(self.of, Of::Ceiling(_)) && says(&self.policy, control)
    }

    fn whose(&self, control: Control) -> String {
        let origin = match &self.of {
            Of::Authors(origins) => origins.get(&control).unwrap_or(&Origin::Default),
            Of::Ceiling(origin) => origin,
        };
        origin.whose()
    }
}

/// A list of paths of a policy.
pub(crate) fn paths_of(policy: &Policy, control: Control) -> Option<&[String]> {
    let list = match control {
        Control::AllowRead => &policy.allow_read,
        Control::DenyRead => &policy.deny_read,
        Control::AllowWrite => &policy.allow_write,
        Control::DenyWrite => &policy.deny_write,
        _ => return None,
    };
    list.as_deref()
}
