# demo: install what is missing, build, scan the bundled captures.
# test: install what is missing, run every check that continuous integration runs.

.PHONY: demo test check-release build bench live soak machine suricata8 captures fuzz deb rpm archive man sbom

demo:
	scripts/install-deps
	cargo build --locked --profile demo --bin kaspector
	$${CARGO_TARGET_DIR:-target}/demo/kaspector scan 'pcaps/*.pcap'

build:
	scripts/install-deps
	cargo build --release --locked

test:
	scripts/check --install

# What a release must pass besides: the oldest compiler, the public interfaces.
check-release:
	scripts/check-release

# Minutes each; results in target/criterion, tables in BENCHMARKS.md.
bench:
	scripts/install-deps
	cargo bench --locked

# The live sensor beside a receiver that only counts, tcpdump and Suricata, over virtual cables: root; about half an hour.
live:
	scripts/install-deps
	benches/live.sh

# An hour of misfortunes for the live sensor: root.
soak:
	scripts/install-deps test
	KASPECTOR_SOAK_SECONDS=3600 CI=1 cargo test --locked --release --test soak -- --nocapture

# The package, its service and real network cards in an emulated machine: root, debootstrap, QEMU; about ten minutes.
machine:
	scripts/install-deps machine
	tests/machine/run

# The Suricata plugin and the reader of logs with Suricata 8, in a root of Debian 13: root, debootstrap; some minutes the first time.
suricata8:
	plugins/suricata/tests/suricata8/run

# Makes the golden captures anew, with real clients in network namespaces: root, and the packages of pcaps/make/install-clients.
captures:
	pcaps/make/make.sh
	pcaps/make/derive.py

# A minute for each parser; needs a nightly toolchain and cargo-fuzz.
fuzz:
	tests/fuzz/run

# The Debian package, in target/package.
deb:
	scripts/install-deps package
	packaging/deb

# The same as an RPM package; needs rpmbuild.
rpm:
	scripts/install-deps package
	packaging/rpm

# Archives with static programs, for each target that this machine can build, in target/package.
archive:
	scripts/install-deps package
	packaging/archive

# Manual pages and shell completions, in target/manual.
man:
	cargo run --locked --example manual -- target/manual

# What a release is made of, as CycloneDX JSON, in target/package.
sbom:
	mkdir -p target/package
	packaging/sbom >target/package/kaspector.cdx.json
