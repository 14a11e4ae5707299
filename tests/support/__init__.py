"""What tests are made of, beside pytest's own fixtures."""
