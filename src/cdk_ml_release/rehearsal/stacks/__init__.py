"""CloudFormation: templates, and stacks that are created, updated and rolled back."""
