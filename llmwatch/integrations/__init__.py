"""Frameworks that llmwatch knows: each module needs its framework, and says which extra installs it."""
