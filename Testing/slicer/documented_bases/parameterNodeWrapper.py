"""``parameterNodeWrapper`` as Slicer's developer guide documents it, for the field types that the module uses.

A class with typed fields becomes a view of a scripted module node: enumerations are kept by name, nodes as references,
texts as they are.
Connected with a GUI, fields and the widgets of the same ``SlicerParameterName`` follow each other.
"""

from __future__ import annotations

import enum
import typing

import slicer
import vtk


def parameterNodeWrapper(wrapped):
    """Return ``wrapped`` with its typed fields turned into properties of a parameter node."""
    fields = typing.get_type_hints(wrapped)
    defaults = {name: getattr(wrapped, name, None) for name in fields}
    for name, fieldType in fields.items():
        setattr(wrapped, name, _property(name, fieldType, defaults[name]))

    def __init__(self, parameterNode):
        self.parameterNode = parameterNode
        self._bindings = {}
        for name in fields:  # an unknown choice is told at once, as in Slicer, and a missing one becomes the default
            setattr(self, name, getattr(self, name))

    wrapped.__init__ = __init__
    wrapped.allParameters = fields
    wrapped.connectGui = _connectGui
    wrapped.disconnectGui = _disconnectGui
    wrapped.AddObserver = lambda self, event, method, priority=0.0: self.parameterNode.AddObserver(event, method)
    wrapped.RemoveObserver = lambda self, tag: self.parameterNode.RemoveObserver(tag)
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
    if fieldType is str:
        return property(
            lambda self: self.parameterNode.GetParameter(name) or default,
            lambda self, text: self.parameterNode.SetParameter(name, text),
        )
    raise TypeError(f"No field of type {fieldType} is known here; add it from the developer guide.")


class _Binding:
    """One field and the widget that shows it."""

    def __init__(self, wrapper, name, widget):
        self.wrapper, self.name, self.widget = wrapper, name, widget
        fieldType = wrapper.allParameters[name]
        self.choices = list(fieldType) if issubclass(fieldType, enum.Enum) else None
        self.isText = fieldType is str
        if self.choices is not None:
            widget.clear()
            for choice in self.choices:
                widget.addItem(choice.label())
        self.show()
        self.connected = True
        if self.isText:
            changed = widget.textChanged
        else:
            changed = widget.currentNodeChanged if self.choices is None else widget.currentIndexChanged
        changed.connect(self.take)

    def show(self):
        value = getattr(self.wrapper, self.name)
        if self.isText:
            self.widget.text = value
        elif self.choices is None:
            self.widget.setCurrentNode(value)
        else:
            self.widget.currentIndex = self.choices.index(value)

    def take(self):
        if not self.connected:  # and not by the signal's disconnect: PySide6 6.12 loses count of True there
            return
        if self.isText:
            value = self.widget.text
        else:
            value = self.widget.currentNode() if self.choices is None else self.choices[self.widget.currentIndex]
        before = getattr(self.wrapper, self.name)
        if (value != before) if self.isText else (value is not before):
            setattr(self.wrapper, self.name, value)


def _connectGui(self, gui):
    named = {widget.property("SlicerParameterName"): widget for widget in vars(gui).values()}
    bindings = [_Binding(self, name, widget) for name, widget in named.items() if name]

    def showAll(caller, event):
        for binding in bindings:
            binding.show()

    tag = self.AddObserver(vtk.vtkCommand.ModifiedEvent, showAll)
    self._bindings[tag] = bindings
    return tag


def _disconnectGui(self, tag):
    self.RemoveObserver(tag)
    for binding in self._bindings.pop(tag):
        binding.connected = False
