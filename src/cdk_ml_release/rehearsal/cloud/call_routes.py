"""Call routes: which operation of a REST service a method, path and query stand for.

The routes are those of botocore's own service models, read when a service is first called.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote

from botocore.exceptions import UnknownServiceError
from botocore.session import Session

__all__ = ["Route", "find_route", "known_services"]

_LABEL = re.compile(r"\{(?P<name>[^}+]+)(?P<greedy>\+)?\}")


@dataclass(frozen=True, kw_only=True)
class Route:
    """The way into one operation.

    Attributes:
        operation: Its name in botocore's model.
        path: What the path must look like, still percent-encoded, with a group for each label.
        labels: The names of the labels.
        query: What the query must hold: keys, and their values where the route fixes them.
        headers: The headers that must be there.
        members: The parameters, by where they travel (``"uri"``, ``"querystring"`` or ``"header"``) and their
            name there.
        payload: The parameter that is the body, if it is one parameter.
        deprecated: Whether botocore says so.
    """

    operation: str
    path: re.Pattern[str]
    labels: tuple[str, ...]
    query: Mapping[str, str | None]
    headers: frozenset[str]
    members: Mapping[tuple[str, str], str]
    payload: str
    deprecated: bool

    @property
    def specificity(self) -> tuple[int, bool, int, bool]:
        """More is more telling: of two routes that fit a request, the greater one is meant."""
        demands = len(self.query) + len(self.headers)
        return demands, ".+" not in self.path.pattern, -self.path.groups, not self.deprecated

    def parameters(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, str] | None:
        """Return the parameters outside the body, or None if the request does not fit this route."""
        found = self.path.fullmatch(path)
        if found is None or not self.headers <= headers.keys():
            return None
        if any(key not in query or value not in (None, query[key]) for key, value in self.query.items()):
            return None
        groups = {name: unquote(value) for name, value in zip(self.labels, found.groups(), strict=True)}
        places: Mapping[str, Mapping[str, str]] = {"uri": groups, "querystring": query, "header": headers}
        return {member: places[place][name] for (place, name), member in self.members.items() if name in places[place]}


def find_route(
    models: Iterable[str], method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]
) -> tuple[Route, dict[str, str]] | None:
    """Return the route that a request takes, with the parameters outside its body, or None.

    Args:
        models: The names of botocore's models to look at, in this order.
        method: Of the request.
        path: Still percent-encoded.
        query: One value for each key.
        headers: With names in lower case.
    """
    for model in models:
        for route in _routes(model).get(method, ()):
            parameters = route.parameters(path, query, headers)
            if parameters is not None:
                return route, parameters
    return None


@cache
def known_services() -> frozenset[str]:
    """Return the names of all models that botocore has."""
    return frozenset(_loader().list_available_services("service-2"))


@cache
def _loader() -> Any:
    return Session().get_component("data_loader")


@cache
def _routes(model: str) -> Mapping[str, tuple[Route, ...]]:
    try:
        document = _loader().load_service_model(model, "service-2")
    except UnknownServiceError:
        return {}
    routes: dict[str, list[Route]] = {}
    for name, operation in document["operations"].items():
        routes.setdefault(operation["http"]["method"], []).append(_route(name, operation, document["shapes"]))
    return {
        method: tuple(sorted(found, key=lambda route: route.specificity, reverse=True))
        for method, found in routes.items()
    }


def _route(name: str, operation: Mapping[str, Any], shapes: Mapping[str, Any]) -> Route:
    path, _, literals = operation["http"]["requestUri"].partition("?")
    pairs = [pair.partition("=") for pair in literals.split("&") if pair]
    query: dict[str, str | None] = {key: value if equals else None for key, equals, value in pairs}
    shape = shapes.get(operation.get("input", {}).get("shape"), {})
    members, headers = {}, set()
    for member, spec in shape.get("members", {}).items():
        place = spec.get("location")
        if place not in ("uri", "querystring", "header"):
            continue
        sent_as = spec.get("locationName", member)
        sent_as = sent_as.lower() if place == "header" else sent_as
        members[place, sent_as] = member
        if member in shape.get("required", []):
            if place == "querystring":
                query.setdefault(sent_as, None)
            elif place == "header":
                headers.add(sent_as)
    return Route(
        operation=name,
        path=_path(path),
        labels=tuple(label["name"] for label in _LABEL.finditer(path)),
        query=query,
        headers=frozenset(headers),
        members=members,
        payload=shape.get("payload", ""),
        deprecated=operation.get("deprecated", False),
    )


def _path(template: str) -> re.Pattern[str]:
    pieces, end = [], 0
    template = template.rstrip("/")
    for label in _LABEL.finditer(template):
        pieces.append(re.escape(template[end : label.start()]))
        pieces.append("(.+)" if label["greedy"] else "([^/]+)")
        end = label.end()
    return re.compile("".join([*pieces, re.escape(template[end:]), "/?"]), re.DOTALL)
