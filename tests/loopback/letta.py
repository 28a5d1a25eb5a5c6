"""A server on 127.0.0.1 that speaks the part of Letta's interface that is used: one agent's archival memory.

Strict: it knows the documented routes and fields and answers 422 to all else. It finds by words in common.
"""

from datetime import datetime
from typing import Any

from aiohttp import web

AGENT = "agent-123e4567-e89b-42d3-a456-426614174000"
TOKEN = "letta-secret-0123456789"
CREATE = {"text", "created_at", "tags"}
SEARCH = {"query", "tags", "tag_match_mode", "top_k", "start_datetime", "end_datetime"}


class Letta:
    def __init__(self) -> None:
        self.passages: list[dict[str, Any]] = []
        self.searches = 0
        self.broken = 0  # the status of all answers; 0: it works
        self.raw: bytes | None = None  # what a search answers instead
        self.app = web.Application()
        self.app.router.add_post("/v1/agents/{agent}/archival-memory", self._create)
        self.app.router.add_get("/v1/agents/{agent}/archival-memory/search", self._search)

    def _refusal(self, request: web.Request) -> web.Response | None:
        if self.broken:
            return web.json_response({"detail": "broken"}, status=self.broken)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"detail": "Unauthorized"}, status=401)
        if request.match_info["agent"] != AGENT:
            return web.json_response({"detail": "no such agent"}, status=404)
        return None

    async def _create(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request):
            return refusal
        body = await request.json()
        if set(body) - CREATE or not isinstance(body.get("text"), str):
            return web.json_response({"detail": "unprocessable"}, status=422)
        made = {**body, "id": f"passage-{len(self.passages)}", "created_at": datetime.fromisoformat(body["created_at"])}
        self.passages.append(made)
        return web.json_response([{"id": made["id"], "text": made["text"], "tags": made["tags"]}])

    async def _search(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request):
            return refusal
        self.searches += 1
        query = request.query
        if set(query) - SEARCH or "query" not in query or query.get("tag_match_mode") not in {"any", "all"}:
            return web.json_response({"detail": "unprocessable"}, status=422)
        if self.raw is not None:
            return web.Response(body=self.raw, content_type="application/json")
        wanted, end = set(query.getall("tags")), datetime.fromisoformat(query["end_datetime"])
        found = [each for each in self.passages if wanted <= set(each["tags"]) and each["created_at"] <= end]
        asked = set(query["query"].replace(";", " ").split())
        found.sort(key=lambda each: -len(asked & set(each["text"].replace(";", " ").split())))
        results = [
            {"id": each["id"], "content": each["text"], "timestamp": str(each["created_at"]), "tags": each["tags"]}
            for each in found[: int(query["top_k"])]
        ]
        return web.json_response({"count": len(results), "results": results})
