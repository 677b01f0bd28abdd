//! The catalogue of diagnostic codes: a number, a title, one line of explanation each.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! codes {
    ($($name:ident $number:literal $title:literal, $explanation:literal;)*) => {
        /// A rule a file may break; the number is stable and never used again for another rule.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// Every code, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The number as printed: `BP0201`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $number,)*
                }
            }

            /// What is wrong, in a few words.
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)*
                }
            }

            /// What the rule is, and why.
            pub fn explanation(self) -> &'static str {
                match self {
                    $(Self::$name => $explanation,)*
                }
            }
        }
    };
}

codes! {
    Syntax "BP0101" "not YAML", "The text does not follow YAML 1.2; the parser's words say where it gave up.";
    Tab "BP0102" "tab in the indentation", "YAML indents with spaces only.";
    DuplicateKey "BP0103" "key given twice", "A key stands once in a map; of two, one would be lost.";
    Anchor "BP0104" "anchor, alias or merge key", "Workflow files say everything in place; `&`, `*` and `<<` are not read.";
    Tag "BP0105" "YAML tag", "Values have the type they are written with; `!tags` are not read.";
    ManyDocuments "BP0106" "more than one document", "A workflow file holds one YAML document.";
    Empty "BP0107" "empty file", "A workflow file holds a map that begins with `sop: 1`.";
    KeyNotText "BP0108" "key is not a name", "Keys are plain words.";
    TooDeep "BP0109" "nested too deeply", "No workflow nests deeper than 64 levels.";

    UnknownKey "BP0201" "unknown key", "Only the keys of the format are allowed, so that a slip is found here and not in a run.";
    WrongType "BP0202" "wrong type of value", "The key takes another type of value.";
    MissingKey "BP0203" "missing key", "The map needs this key.";
    UnknownChoice "BP0204" "not one of the choices", "The key takes one of a few words.";
    FormatVersion "BP0205" "unsupported version of the format", "This program reads `sop: 1`.";
    SaidOtherwise "BP0206" "said otherwise here", "The word is known from elsewhere, and another says here what is meant; ignoring it would be worse.";
    // BP0207 said that a policy is not enforced, which now only the run knows.
    BadName "BP0208" "not a valid name", "Names stand in paths, tags and messages, so few characters are allowed.";
    ReservedName "BP0209" "reserved name", "The name means something else already.";
    StepKind "BP0210" "a step has exactly one kind", "One of `prompt`, `produce` with `verify`, `llm`, `classify`, `run`, `call`, `validate`, `ask`, `wait`, `workflow`, `parallel` or `fan_out` says what a step does.";
    WrongKind "BP0211" "key of another kind of step", "The key exists, but not for this kind of step.";
    Duration "BP0212" "not a duration", "Durations are a number and a unit: `500ms`, `30s`, `20m`, `2h`.";
    Range "BP0213" "number out of range", "The number is too small or too large to mean anything.";
    NothingThere "BP0214" "empty value", "The value must hold something.";
    PolicyPath "BP0215" "not a path of a policy", "Paths of a policy are relative to the workspace, in the home (`~/x`), or absolute; only what is denied may be a pattern.";
    BadDomain "BP0216" "not a domain", "A domain is a host, a host and a port, or `*.` and a host: no address of a page, and no pattern beside.";
    NotLimited "BP0217" "domains without `network: limited`", "Domains and presets say what a limited network reaches; beside another mode they would say nothing.";
    Size "BP0218" "not a size", "Sizes are a whole number and a unit: `512MiB`, `1GiB`, `10MB`.";
    BadVariable "BP0219" "not a variable of a policy", "A variable has a plain name, and none is set that would change the agent's own program, its libraries or its address.";
    ListedTwice "BP0220" "listed twice", "Each entry of a policy's list stands once; one of two would be a slip.";
    BadRule "BP0221" "not a rule of permissions", "A rule names a tool of the provider, and may say in brackets what it is used for: `Bash(rm *)`.";

    UnknownArtifact "BP0301" "unknown artifact", "Artifacts are declared under `artifacts`, or in place where a step writes them.";
    UnknownWorklist "BP0302" "unknown worklist", "Worklists are declared under `worklists`.";
    UnknownCheck "BP0303" "unknown check", "A route can require only the checks of its own step.";
    UnknownTarget "BP0304" "unknown target", "A target is a step's id, SELF, FINISH, FAIL or AWAIT_INPUT.";
    DuplicateName "BP0305" "name given twice", "Ids of steps, names of artifacts and names of a step's checks are unique.";
    NotWrittenHere "BP0306" "not a write of this step", "A route can require only what its own step may write.";

    Unreachable "BP0401" "step cannot be reached", "No route leads from the entry to the step.";
    NoWayOut "BP0402" "no way to an end", "From every step some chain of routes must lead to FINISH, FAIL or AWAIT_INPUT.";
    NotScoped "BP0403" "works on no worklist", "`complete_and_advance` and its like move through the items, so the step needs a `scope`.";
    RouteForm "BP0404" "route says where in no one way", "A route has either `to` or one of the forms for items; those that may run out of items need `exhausted`.";
    AnswerNotAsked "BP0405" "answer without a question", "`answer` describes what a person replies to AWAIT_INPUT.";
    VerdictNotEnding "BP0406" "verdict on a route that does not end", "`verdict` belongs to routes to FINISH or FAIL.";
    NeverWritten "BP0407" "required before it is written", "On every way to a step, an earlier step must have been obliged to write what it requires.";
    SessionScope "BP0408" "session per item without items", "`continuity: work_item` needs a step with a `scope`.";

    UnknownState "BP0420" "no such place in the state", "A route sets keys that `state`, `step_state` or `item_state` declare.";
    SetMisfit "BP0421" "value does not fit the state", "What is known of a value before a run has to fit the schema of its place.";
    ItemStateScope "BP0422" "state per item without items", "`item_state` is kept for each item, so the step needs a `scope`.";
    NeverTaken "BP0423" "nothing can take the route", "A route is taken because an agent or a script picks it, or because its `when` is true.";
    NothingOffered "BP0424" "no route is sure to be offered", "Whoever decides needs a route of the step's own that is there in every run: without `when`, and also where nobody can be asked.";
    NothingToDisable "BP0425" "nothing to disable", "`disabled` takes away a route that a step inherits: `question`, `blocked`, `failed`, or one of `global_routes`.";
    WorklistSource "BP0426" "items from nowhere", "A worklist comes from one place: a `json` artifact, an array of `params` or `state`, or what a command prints.";
    UnknownSession "BP0427" "unknown session", "Named sessions are declared under `sessions`.";
    BadProtect "BP0428" "no path to protect", "`protect` names files and folders of the workspace; a pattern or a place outside would protect something else than it says.";
    NoSuchOutcome "BP0451" "route that is no outcome", "What a step of this kind can come to is known, and the route's tag is none of it.";
    NoRoute "BP0452" "outcome without a route", "What a step of this kind can come to is known, and each outcome needs a route.";
    AnswerForm "BP0453" "answer in two forms", "What a person may answer is said once: by `choices`, or by the schema `answer`.";
    WaitForm "BP0454" "waits for no one thing", "A step waits `for` a time, `until` a moment, or for a `signal`, which may have a `timeout`.";
    MissingOutcome "BP0461" "children may come to what has no route", "What the ends of children come to (`done`, `failed`) needs a route of that name, unless a `fan_in` turn picks it.";
    BranchTarget "BP0462" "branch leads to a step", "A branch is a run of its own: its routes lead to SELF, FINISH, FAIL or AWAIT_INPUT.";
    BranchScope "BP0463" "scope in a branch", "A branch works on its own item, or on that of the step it stands in; it goes through no worklist.";
    SharedWrite "BP0464" "branches write the same file", "Branches run side by side, so each needs its own file.";
    UnknownWorkflow "BP0465" "unknown workflow", "A `workflow` step names a workflow as a command line would: by name, alias or path.";
    StartsItself "BP0466" "workflow starts itself", "A run that starts itself has no end.";
    ChildDoesNotCheck "BP0467" "workflow below does not check", "What is started below must itself be right.";
    ChildInput "BP0468" "child is not given what it takes", "`with` and `params` hold what the other workflow declares, and all that it requires.";
    NotBelow "BP0469" "cannot be in a run below", "`ask` and signals reach only the run that a person started; a restart beside others would take back what they wrote.";

    FileUnreadable "BP0501" "file cannot be read", "Paths are relative to the workflow's own file.";
    FileOutside "BP0502" "path leaves the workflow's folder", "A workflow reads only what lies beside it.";
    NotJson "BP0503" "not JSON", "A schema file holds one JSON document.";
    BadSchema "BP0504" "not a valid JSON Schema", "Schemas are checked before a run, against the standard's own schema.";
    BadDefault "BP0505" "default does not fit", "A default must satisfy the schema it stands in.";
    BadTemplate "BP0506" "template does not parse", "Prompts, paths and commands are MiniJinja templates.";
    UnknownRoot "BP0507" "unknown template variable", "Templates see a fixed set of variables; anything else would stop the run when rendered.";
    UnknownField "BP0508" "unknown field in a template", "The variable is there, but it has no such field.";
    NoItem "BP0509" "no current item", "`item` and `worklist` exist only in steps with a `scope`.";
    BadPath "BP0510" "artifact path is not allowed", "Artifact paths are relative and stay inside the workflow's folder.";
    SchemaNotJson "BP0511" "schema without JSON", "Only a `json` artifact has content a schema can check.";
    WorklistNotJson "BP0512" "file that is not JSON", "A worklist and an output are read from a `json` artifact.";
    Include "BP0513" "template names another template", "A prompt is one text; `include`, `import` and `extends` have nothing to read.";
    NoCassette "BP0514" "recording cannot be read", "The `replay` provider plays a recording that lies beside the workflow; another provider may be chosen instead.";

    NotInRepository "BP0601" "setting not for a repository's file", "A repository's `botpipe.yaml` came with a clone: what makes programs run or sends prompts elsewhere is said by a person, in their own file or by an option.";
    BadAddress "BP0602" "not an address", "An address begins with `http://` or `https://`, and holds no login: settings are recorded with the run.";
    NotNarrowing "BP0603" "an operator's policy only narrows", "What a person's own file and `--policy-file` say of policies are ceilings over what workflows ask for; they give nothing.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}
