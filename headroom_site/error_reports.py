"""What error pages tell while HEADROOM_DEBUG is on: where it happened, and no value of anything."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter


class NoValues(SafeExceptionReporterFilter):
    """Variables, posted fields and headers may hold keys and prompts, whatever they are called."""

    def is_active(self, request: HttpRequest | None) -> bool:
        return True

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        return {} if request is None else dict.fromkeys(request.POST, self.cleansed_substitute)

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: Any) -> Any:
        return [(name, self.cleansed_substitute) for name in tb_frame.f_locals]

    def get_cleansed_multivaluedict(self, request: HttpRequest, multivaluedict: Any) -> Any:
        return dict.fromkeys(multivaluedict, self.cleansed_substitute)

    def get_safe_cookies(self, request: Any) -> dict[str, Any]:
        return dict.fromkeys(getattr(request, "COOKIES", {}), self.cleansed_substitute)

    def get_safe_request_meta(self, request: Any) -> dict[str, Any]:
        return {
            name: value if name in ("PATH_INFO", "REQUEST_METHOD") else self.cleansed_substitute
            for name, value in getattr(request, "META", {}).items()
        }
