//! The lines of policy that would permit what was refused: of every layer that has to give.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use botpipe_kernel::plan::{NetworkMode, Policy, SandboxMode};

use super::Reasons;
use crate::confine::paths::{absolute, in_shell};
use crate::policy::{Control, Ground, limit_of, paths_of};

impl Reasons {
    /// A list that has all of the host means what programs are shown of it, and takes nothing more.
    pub(super) fn to_read(&self, path: &Path) -> String {
        let path = with_its_own(path, self.site.home.as_deref());
        self.to_read_all(&[path.to_owned()])
    }

    /// The same of several that are needed together.
    pub(super) fn to_read_all(&self, paths: &[PathBuf]) -> String {
        let ground = self.ground();
        let more: Vec<String> = paths.iter().map(|path| self.shown(path)).collect();
        let has = |list: &[String], path: &String| list.iter().any(|it| ground.covers(it, path));
        let has_all = |list: &[String]| more.iter().all(|path| has(list, path));
        let is_all = |list: &[String]| {
            list.iter().any(|it| absolute(it, &self.site) == Path::new("/")) && !has_all(list)
        };
        // Of several, one that is listed already was no help.
        let in_vain = |list: &[String]| more.len() > 1 && more.iter().any(|path| has(list, path));
        let mut lists = self.policy.said_by.lists(Control::AllowRead);
        let no_list = lists.any(|list| is_all(list) || in_vain(list));
        let lines = self.lines(Control::AllowRead, |list| {
            (!has_all(list))
                .then(|| more.iter().fold(list.to_vec(), |list, path| with(&list, path)))
        });
        if no_list || lines.is_empty() {
            let typed = in_shell(paths.iter().map(PathBuf::as_path));
            return format!("`BOTPIPE_ALLOW_READ={typed}` in Botpipe's own environment");
        }
        lines
    }

    pub(super) fn mode(&self) -> String {
        let reads = |it: &Policy| it.sandbox_mode == Some(SandboxMode::ReadOnly);
        self.word(Control::SandboxMode, "workspace_write", reads)
    }

    /// The lists of what is written with one path more, each with what it has already; empty where all have it.
    pub(super) fn with_more(&self, path: &Path) -> String {
        let more = self.shown(path);
        let ground = self.ground();
        let has = |list: &[String]| list.iter().any(|it| ground.covers(it, &more));
        self.lines(Control::AllowWrite, |list| (!has(list)).then(|| with(list, &more)))
    }

    fn ground(&self) -> Ground {
        Ground::new(&self.site.workspace, self.site.home.as_deref())
    }

    /// The lists without all that means the path.
    pub(super) fn without(&self, control: Control, path: &Path) -> String {
        let means = |text: &String| self.names(std::slice::from_ref(text), path).is_some();
        self.lines(control, |list| {
            let rest: Vec<String> = list.iter().filter(|text| !means(text)).cloned().collect();
            (rest.len() < list.len()).then_some(rest)
        })
    }

    /// The list of each layer that has to give, as it is to be: where several narrow each other, all of them have to.
    pub(super) fn lines(
        &self,
        control: Control,
        instead: impl Fn(&[String]) -> Option<Vec<String>>,
    ) -> String {
        let line = |policy: &Policy| {
            let list = instead(paths_of(policy, control)?)?;
            let texts: Vec<String> = list.iter().map(|text| in_yaml(text)).collect();
            Some(format!("`{control}: [{}]`", texts.join(", ")))
        };
        self.policy.said_by.lines(control, line).join(" with ")
    }

    /// The value of a control, for each layer that says what is in its way.
    pub(super) fn word(
        &self,
        control: Control,
        value: &str,
        is_in_the_way: impl Fn(&Policy) -> bool,
    ) -> String {
        let line = |it: &Policy| is_in_the_way(it).then(|| format!("`{control}: {value}`"));
        self.policy.said_by.lines(control, line).join(" with ")
    }

    /// A limit as it is to be, for each layer that says no more than holds; of one that nobody says, for the authors.
    pub(super) fn larger(&self, control: Control, value: &str) -> String {
        let holds = limit_of(&self.policy.limits, control);
        let name = control.as_str().trim_start_matches("limits.");
        let line = |it: &Policy| {
            let narrows = limit_of(&it.limits, control) <= holds;
            (narrows && limit_of(&it.limits, control).is_some() == holds.is_some())
                .then(|| format!("`limits: {{ {name}: {value} }}`"))
        };
        self.policy.said_by.lines(control, line).join(" with ")
    }

    /// What leaves the sandbox with all that comes of it: a user of its own stays as long as anything is held.
    pub(super) fn leaves(&self) -> String {
        let policy = &self.policy;
        let no_danger = |it: &Policy| it.sandbox_mode != Some(SandboxMode::DangerFullAccess);
        let mut all = Vec::new();
        if policy.sandbox_mode != SandboxMode::DangerFullAccess {
            all.push(self.word(Control::SandboxMode, "danger_full_access", no_danger));
        }
        if policy.network != NetworkMode::Full {
            all.push(self.full());
        }
        if !policy.allow_local_binding {
            let denies = |it: &Policy| it.allow_local_binding == Some(false);
            all.push(self.word(Control::LocalBinding, "true", denies));
        }
        let mut all = all.join(" with ");
        let held = [Control::Cpu, Control::Memory, Control::FileSize, Control::Processes];
        for control in held.into_iter().filter(|it| limit_of(&policy.limits, *it).is_some()) {
            let _ = write!(all, " without `{control}`");
        }
        for whose in policy.said_by.ceilings_of_files() {
            let _ = write!(all, " without the paths {whose}");
        }
        let all = if all.starts_with(' ') { format!("a policy{all}") } else { all };
        format!("{all} leaves the sandbox")
    }
}

/// A program with what lies beside it, which it looks for: the folder that its `bin` is in.
pub(super) fn with_its_own<'a>(path: &'a Path, home: Option<&Path>) -> &'a Path {
    let bin = path.parent().filter(|folder| folder.ends_with("bin") && path.is_file());
    let whole = bin.and_then(Path::parent);
    let wide = |folder: &Path| {
        home.is_some_and(|home| home.starts_with(folder)) || folder.ends_with(".local")
    };
    whole.filter(|folder| folder.components().count() > 2 && !wide(folder)).unwrap_or(path)
}

/// A list with one path more.
fn with(list: &[String], more: &String) -> Vec<String> {
    list.iter().filter(|text| *text != more).chain([more]).cloned().collect()
}

/// A text as it stands in a list of YAML.
fn in_yaml(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-~@+ ".contains(c);
    let begins = text.starts_with(|c: char| c.is_alphanumeric() || "/._".contains(c));
    if begins && text.chars().all(plain) && !text.ends_with(' ') {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}
