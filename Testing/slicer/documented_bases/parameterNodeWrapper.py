"""``parameterNodeWrapper`` as Slicer's developer guide documents it, for the field types that the module uses.

A class with typed fields becomes a view of a scripted module node: enumerations are kept by name, nodes as references.
Connecting a GUI raises ``NoGuiError``.
"""

from __future__ import annotations

import enum
import typing

import slicer
from slicer.ScriptedLoadableModule import NoGuiError


def parameterNodeWrapper(wrapped):
    """Return ``wrapped`` with its typed fields turned into properties of a parameter node."""
    fields = typing.get_type_hints(wrapped)
    for name, fieldType in fields.items():
        default = getattr(wrapped, name, None)
        setattr(wrapped, name, _property(name, fieldType, default))

    def __init__(self, parameterNode):
        self.parameterNode = parameterNode

    wrapped.__init__ = __init__
    wrapped.allParameters = fields
    wrapped.connectGui = _noGui
    return wrapped


def _property(name, fieldType, default):
    if issubclass(fieldType, slicer.vtkMRMLNode):
        return property(
            lambda self: self.parameterNode.GetNodeReference(name),
            lambda self, node: self.parameterNode.SetNodeReferenceID(name, node.GetID() if node is not None else None),
        )
    if issubclass(fieldType, enum.Enum):

        def write(self, value):
            if not isinstance(value, fieldType):
                raise TypeError(f"{name} takes a {fieldType.__name__}, not {value!r}")
            self.parameterNode.SetParameter(name, value.name)

        return property(lambda self: fieldType[self.parameterNode.GetParameter(name) or default.name], write)
    raise TypeError(f"No field of type {fieldType} is known here; add it from the developer guide.")


def _noGui(self, gui):
    raise NoGuiError("A GUI was to be connected, but this is slicer-core: no GUI.")
