"""stub"""
def describe_fault(error):
    return f"{type(error).__name__}: {error}"
