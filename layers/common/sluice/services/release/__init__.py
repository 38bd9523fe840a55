"""What goes to a stage and stays there: approvals, evidence, releases, and ways back."""
