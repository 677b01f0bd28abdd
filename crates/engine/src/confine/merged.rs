//! What a merge of branches makes in the workspace: each branch may have made a part, of something that none made whole.

use super::lookout::Lookout;
use super::record::{self, Record};
use super::{Refusal, Site, git, home, person, protected, scan};

/// Looks out from before a merge is written until it is.
pub(crate) struct Merging {
    lookout: Lookout,
    // In case the merge is cut off.
    _record: Option<Record>,
}

impl Merging {
    /// Notes what is there; with what owners that died were looking out for.
    ///
    /// # Errors
    /// What there is cannot be told.
    pub(crate) fn begin(site: &Site) -> Result<(Self, Vec<String>), Refusal> {
        let workspace = site.workspace.clone();
        let mut told = Vec::new();
        record::take_over(std::slice::from_ref(&workspace), &mut |sentence| told.push(sentence));
        let names = scan::names(&workspace, &scan::not_entered()).map_err(|error| Refusal {
            control: "allow_write",
            what: format!("the workspace cannot be looked through: {error}"),
            permit: "make every folder of it readable for yourself".to_owned(),
        });
        let (names, closed) = names?;
        let mut kept = git::kept(site, &names, std::slice::from_ref(&workspace))?;
        kept.known.closed_before(&closed);
        let (_, mut missing) = protected::of(&workspace);
        let users = person::users();
        for home in home::in_workspace(&workspace, site.home.as_deref(), users.as_deref()) {
            missing.extend(protected::of_home(&home).1);
        }
        let missing = missing.into_iter().chain(kept.named).map(|path| (path, None)).collect();
        let repositories = Some(kept.known);
        let mut lookout = Lookout { workspace, missing, repositories, ..Lookout::default() };
        lookout.amid(&record::all(&lookout.areas()));
        let record = Record::of(&lookout).ok();
        Ok((Self { lookout, _record: record }, told))
    }

    /// The merge is written: what it made that steers others is put aside.
    pub(crate) fn end(self) -> Vec<String> {
        self.lookout.look()
    }
}
