"""The chapter's claims."""
