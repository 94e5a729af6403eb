"""The CustomResourceDefinitions, made from the Structs that read the objects.

So what the API server takes is what Fairlead reads: a field, a bound or a choice that is added to a
Struct is in the schema, and a test fails while the files in `deploy/` do not say so. Pure.
"""

from fairlead.publish.crds.ako import ako_definitions
from fairlead.publish.crds.definition import Definition
from fairlead.publish.crds.kinds import definitions

__all__ = ["Definition", "ako_definitions", "definitions"]
