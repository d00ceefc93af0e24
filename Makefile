# Shortcuts. The work is done by cargo and by the scripts in scripts/.

.DEFAULT_GOAL := help
.PHONY: run test services services-stop bench schema fmt lint help

run: ## Build, start with a demo shop, send it traffic until Ctrl-C
	@scripts/run

test: ## Run all tests, with PostgreSQL and Redis started for them
	@scripts/test

services: ## Start the tests' PostgreSQL and Redis, and leave them running
	@scripts/services start

services-stop: ## Stop them and remove their data
	@scripts/services stop

bench: ## Run the benchmarks, with PostgreSQL and Redis started for them
	@scripts/services with cargo bench --locked --benches

schema: ## Write schema.graphql and openapi.json anew
	cargo run --locked --quiet -- schema > schema.graphql
	cargo run --locked --quiet -- openapi > openapi.json

fmt: ## Format the code
	cargo fmt --all

lint: ## Check the code for mistakes; warnings count
	cargo clippy --workspace --all-targets --locked -- -D warnings

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
