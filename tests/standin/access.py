"""Who asks, and what they may see: the Hub's answers for gated, private, disabled and missing repos."""

from __future__ import annotations

from urllib.parse import quote

from .answer import Refusal, Request, error, redirect
from .repo import Commit, Repo
from .settings import Kind
from .tree import File
from .world import Token, World


def caller(world: World, request: Request) -> Token | None:
    """Return whose token came, or None for nobody. Refuses a token that is not known."""
    sent = request.headers.get("authorization")
    if sent is None:
        return None
    known = world.tokens.get(sent.removeprefix("Bearer "))
    if known is None:
        raise error(401, "Invalid credentials in Authorization header")
    return known


def can_see(token: Token | None, repo: Repo) -> bool:
    """Return whether a repo exists for the one who asks."""
    return not repo.settings.private or (token is not None and repo.id in token.private)


def visible_repo(world: World, request: Request, kind: Kind, repo_id: str) -> Repo:
    """Return the repo, or refuse as the Hub does; a renamed repo redirects."""
    token = caller(world, request)
    repo = world.find(kind, repo_id)
    if repo is None or not can_see(token, repo):
        moved = world.new_name(kind, repo_id) if repo is None else None
        if moved is not None:
            raise _moved(request, repo_id, moved)
        if token is None:
            raise error(401, "Invalid username or password.")
        raise error(404, "Repository not found", "RepoNotFound")
    if repo.settings.disabled:
        raise error(403, "Access to this resource is disabled.")
    return repo


def check_gate(world: World, request: Request, repo: Repo) -> None:
    """Refuse unless the one who asks may read the repo's files."""
    if not repo.settings.gated:
        return
    token = caller(world, request)
    restricted = f"Access to {repo.kind} {repo.id} is restricted"
    if token is None:
        message = f"{restricted}. You must have access to it and be authenticated to access it. Please log in."
        raise error(401, message, "GatedRepo")
    if repo.id not in token.approved:
        message = f"{restricted} and you are not in the authorized list. Ask for access at {request.base}/{repo.id}."
        raise error(403, message, "GatedRepo")


def commit_at(repo: Repo, revision: str) -> Commit:
    """Return the commit of a revision, or refuse with RevisionNotFound."""
    commit = repo.find(revision)
    if commit is None:
        raise error(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    return commit


def file_at(commit: Commit, path: str) -> File:
    """Return a file of a commit, or refuse with EntryNotFound."""
    file = commit.tree.files.get(path)
    if file is None:
        raise error(404, "Entry not found", "EntryNotFound", {"X-Repo-Commit": commit.id})
    return file


def _moved(request: Request, old: str, new: str) -> Refusal:
    query = f"?{request.query_text}" if request.query_text else ""
    path = request.path.replace(quote(old), quote(new), 1)
    return Refusal(redirect(307, path + query))
