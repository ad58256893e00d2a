"""Whatever is sent to the door: it answers as documented, gives nothing away, files nothing, and lives on."""
