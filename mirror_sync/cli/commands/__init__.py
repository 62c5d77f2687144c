"""The commands, by what they are about; `every_command` has them all."""
