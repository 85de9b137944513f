# The front door. Each target is one line that calls cargo or one script.
.PHONY: help demo up test test-kafka test-kafka-full lint fmt bench engine kafka registry check-tools docs
export CARGO_TERM_COLOR ?= auto

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

check-tools: ## name what this machine lacks, with the command that installs it
	@deploy/dev/check-tools

engine: check-tools ## fetch the pinned ClickHouse engine, checksum verified
	@deploy/dev/engine/fetch

kafka: check-tools ## fetch the pinned Apache Kafka for the tests, every jar verified
	@deploy/dev/kafka/fetch >/dev/null

registry: check-tools ## fetch the pinned schema registry for the tests, checksum verified
	@deploy/dev/registry/fetch >/dev/null

demo: engine ## build, run the sample estate, print the funnel and what to fix first
	@cargo build --release --quiet --bin tributary && cargo run --release --quiet --bin tributary -- demo

up: engine ## everything in one process, durable under ./data
	@cargo run --release --quiet --bin tributary -- up --data data

test: engine kafka registry ## every test; starts the real engines it needs
	@cargo test --workspace

test-kafka: engine kafka registry ## the three services on a real Kafka, killed and disturbed in every way
	@cargo test -p tributary --test kafka

test-kafka-full: engine kafka registry ## the same with a synthetic estate of 200,000 findings (an hour or more)
	@TRIBUTARY_TEST_KAFKA_FINDINGS=200000 cargo test --release -p tributary --test kafka -- --test-threads 1

lint: ## format, clippy with warnings as errors
	@cargo fmt --all --check && cargo clippy --workspace --all-targets --quiet -- -D warnings

fmt: ## format the code
	@cargo fmt --all

bench: engine kafka ## budgets of ARCHITECTURE.md, measured beside budget
	@benches/run
