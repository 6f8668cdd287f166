"""One file a command: `run(config, context) -> Result`. No printing, plotting or opening of files here."""
