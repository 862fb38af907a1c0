"""The configuration: one TOML file, read into frozen, validated models. Nothing else reads settings."""
