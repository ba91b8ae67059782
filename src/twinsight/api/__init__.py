"""What `import twinsight` offers: the commands as functions, and what they return."""
