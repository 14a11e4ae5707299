"""What the declarations of profiles are known by: an app that has none of a profile never loads it."""


class ResourceDeclaration:
    """Base of ArmResource alone."""


class ServiceDeclaration:
    """Base of ODataService alone."""
