# What there is to do. .ci/run runs the same recipes, after installing what they need.

msrv_version := `sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml`

# List the recipes.
default:
    @just --list

# Show a site that serves a model: a full one where this machine can run it. `just run demo --small` shows the small one.
run *args="demo":
    cargo run -p site -- {{args}}

# Levels 1 to 3 of the tests, on a real Kubernetes API.
test:
    cargo test --workspace

# Ten thousand random states of a cluster, and as many sequences of configurations: some hours.
nightly cases="10000":
    CASES={{cases}} cargo test --test it cluster::convergence

# The charm on a full site, where models answer: as root. `just e2e predictions` runs those with that word in their name.
e2e *filter:
    cargo test --test e2e -- {{filter}}

# The packed charm under a real Juju: JUJU_CONTROLLER=<controller> just juju; CONTRIBUTING.md has what else it needs.
juju *filter:
    cargo test --test juju -- {{filter}}

# The tables of docs/reference/test-site.md: what a site and its models cost.
measure:
    cargo test --test e2e -- --ignored measure

# The table of docs/reference/costs.md: hooks of this charm and of the same one in Python, on one API server.
bench:
    cargo test --test bench

# Fuzz each target for so many seconds. `just fuzz keep` puts what was found into fuzz/corpus.
fuzz seconds="60":
    fuzz/run {{seconds}}

# Break every decision in turn, and list those that no test misses. Needs cargo-mutants, and an hour.
mutants:
    cargo mutants

# Regenerate docs/site.svg, docs/reference/options.md and docs/reference/statuses.md, and test the rest of the documentation.
docs:
    UPDATE_DOCS=1 cargo test --test it -- picture reference
    UPDATE_DOCS=1 cargo test --lib statuses
    cargo test --test docs

# Formatting.
format:
    cargo fmt --all --check
    cargo fmt --manifest-path fuzz/Cargo.toml --check

# Lints; a warning is an error. Tests that run by name only are not among all targets.
lint:
    cargo clippy --locked --workspace --all-targets -- -D warnings
    cargo clippy --locked --test e2e --test juju --test packed --test bench -- -D warnings
    cargo clippy --locked --manifest-path fuzz/Cargo.toml --all-targets -- -D warnings

# The minimum supported Rust version, as Cargo.toml names it, compiles all. Its builds are of no use to another version.
msrv:
    CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/msrv" cargo +{{msrv_version}} check --locked --workspace

# Licences, bans and sources of what the binary is made of. Needs cargo-deny, but no network.
deny:
    cargo deny check --hide-inclusion-graph licenses bans sources

# Write what the binary is made of: seldon-model.cdx.json, in CycloneDX.
sbom:
    packaging/sbom

# All that a change must pass.
ci:
    .ci/run

# Pack the charm: seldon-model_<arch>.charm, for every base. `just pack arm64` packs it for ARM. As root where charmcraft is not installed.
pack *arch:
    packaging/pack {{arch}}

# Pack the charm, look into it, and deploy it from there; the same for ARM, whose hooks QEMU runs. `just packed native` leaves ARM out.
packed *filter:
    cargo test --test packed -- --nocapture {{filter}}
