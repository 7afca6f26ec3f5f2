"""Work that needs a processor: kept out of the event loop and out of the process."""
