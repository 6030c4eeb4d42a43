"""Many runs over levels of phi and variants of settings."""
