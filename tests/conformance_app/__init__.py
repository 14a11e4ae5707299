"""A function app for Microsoft's LRO scenarios: the product's declarations, dressed as the scenarios' fixtures want."""
