//! JSON Schemas of what people write and of what Botpipe says; tests hold them to what is read.

/// The schemas by the word that `botpipe schema` takes.
pub const ALL: [(&str, &str); 6] = [
    ("workflow", WORKFLOW),
    ("config", include_str!("../../../docs/schema/config.json")),
    ("events", include_str!("../../../docs/schema/events.json")),
    ("plan", include_str!("../../../docs/schema/plan.json")),
    ("rpc", include_str!("../../../docs/schema/rpc.json")),
    ("test", include_str!("../../../docs/schema/test.json")),
];

/// Of a workflow's file.
pub(crate) const WORKFLOW: &str = include_str!("../../../docs/schema/workflow.json");
