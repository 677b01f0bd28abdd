# What there is to do here; every recipe is one command that works without just.

# Passes the tests; installs what they need.
test:
    tools/test

# Runs the shipped workflow with a recording as the agent.
demo *args:
    cargo run --release -- demo {{args}}

# Runs the proofs whole and writes their dated pages to docs/proofs/.
prove *args:
    tools/prove {{args}}

# Measures what Botpipe costs; docs/bench.md says how to read it.
bench *args:
    tools/bench {{args}}

fmt:
    cargo fmt --all

lint:
    cargo clippy --workspace --all-targets -- -D warnings
