"""Published experiments, run again beside their own figures."""
