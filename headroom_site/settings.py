"""Every setting of the product, and the only place that reads the environment. `docs/settings.md` lists them all."""

from __future__ import annotations

import ipaddress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dj_database_url

from headroom_site import env, workspace

BASE_DIR = Path(__file__).resolve().parent.parent

# --- where things are kept -------------------------------------------------------------------------------------------
WORKSPACE_DIR = Path(env.text("HEADROOM_WORKSPACE_DIR", "~/.headroom")).expanduser()
workspace.create(WORKSPACE_DIR)

DATABASE_URL = env.text("HEADROOM_DATABASE_URL") or env.text("DATABASE_URL")
REDIS_URL = env.text("HEADROOM_REDIS_URL")
DATABASE_POOL_SIZE = env.integer("HEADROOM_DATABASE_POOL_SIZE", 8, minimum=2, maximum=100)

_SQLITE: dict[str, Any] = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": WORKSPACE_DIR / "headroom.sqlite3",
    "CONN_MAX_AGE": 0,
    "OPTIONS": {
        # IMMEDIATE takes the one write lock at BEGIN, so a batch never fails half-way with "database is locked".
        "transaction_mode": "IMMEDIATE",
        "timeout": 15,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=15000;",
    },
}


def _database() -> dict[str, Any]:
    if not DATABASE_URL:
        return _SQLITE
    try:
        parsed: dict[str, Any] = dict(dj_database_url.parse(DATABASE_URL))
    except ValueError as exc:
        raise env.BadEnvironment("HEADROOM_DATABASE_URL", "…", f"a database address ({exc})") from exc
    if parsed["ENGINE"] == "django.db.backends.sqlite3":
        return _SQLITE | {"NAME": parsed["NAME"]}
    if parsed["ENGINE"] != "django.db.backends.postgresql":
        raise env.BadEnvironment(
            "HEADROOM_DATABASE_URL", f"{DATABASE_URL.partition(':')[0]}:…", "postgresql:// or sqlite:///"
        )
    # A server that vanished without a word (a power cut, a firewall) is noticed in seconds and not in a quarter of an hour.
    silence = {"connect_timeout": 5, "tcp_user_timeout": 10_000, "keepalives_idle": 10}
    # A pool that is slow to give up doubles its pauses, and a server that is back would stand there unasked for as long
    # again as it was away; one that gave up tries anew for whoever asks next.
    pool = {"min_size": 1, "max_size": DATABASE_POOL_SIZE, "timeout": 2, "reconnect_timeout": 1}
    # The pool refuses persistent connections of Django's own, hence age 0: each use gives its connection back.
    return parsed | {
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {**silence, **parsed.get("OPTIONS", {}), "pool": pool},
    }


DATABASES = {"default": _database()}
IS_EMBEDDED = DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Where programs written for the reference product look for its totals; without it, one is only looked for and not written.
_savings_path = env.text("HEADROOM_SAVINGS_PATH")
KEEPS_SAVINGS_FILE = bool(_savings_path)
SAVINGS_PATH = Path(_savings_path).expanduser() if _savings_path else WORKSPACE_DIR / "proxy_savings.json"

# --- where it listens, and who may come in ---------------------------------------------------------------------------
HOST = env.text("HEADROOM_HOST", "127.0.0.1")
PORT = env.integer("HEADROOM_PORT", 8787, minimum=1, maximum=65535)
WORKERS = env.integer("HEADROOM_WORKERS", 1, minimum=1, maximum=64)
SERVER = env.choice("HEADROOM_SERVER", "uvicorn", ("uvicorn", "daphne"))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


IS_LOOPBACK = _is_loopback(HOST)
_require_key = env.optional_boolean("HEADROOM_REQUIRE_KEY")
REQUIRE_KEY = (not IS_LOOPBACK) if _require_key is None else _require_key
# Anybody may come in because only this machine can: true as long as the server really listens there.
RELIES_ON_LOOPBACK = IS_LOOPBACK and _require_key is None
BOOTSTRAP_KEY = env.text("HEADROOM_BOOTSTRAP_KEY")
# The address that browsers use, where a server that speaks TLS stands in front. Empty: they come straight to us.
PUBLIC_URL = env.base_url("HEADROOM_PUBLIC_URL", "")
_is_https = PUBLIC_URL.startswith("https://")
# Names by which browsers and clients may address us. IP addresses and localhost always may: only names can be rebound.
ALLOWED_NAMES = frozenset(name.lower() for name in env.words("HEADROOM_ALLOWED_HOSTS")) | env.hostname(PUBLIC_URL)
ALLOWED_HOSTS = ["*"]  # checked for every route by headroom_site.hosts, which knows IP addresses and Origin too

DEBUG = env.boolean("HEADROOM_DEBUG", False)
SECRET_KEY = env.text("HEADROOM_SECRET_KEY") or workspace.secret_key(WORKSPACE_DIR)

# --- how much they may -----------------------------------------------------------------------------------------------
BUDGET_USD = env.usd("HEADROOM_BUDGET")
BUDGET_PERIOD = env.choice("HEADROOM_BUDGET_PERIOD", "daily", ("hourly", "daily", "weekly", "monthly", "total"))
BUDGET_TIME_ZONE = env.text("HEADROOM_BUDGET_TIME_ZONE", "UTC")
BUDGET_POLICY = env.choice("HEADROOM_BUDGET_POLICY", "normal", ("normal", "strict"))
RATE_LIMIT_ENABLED = env.boolean("HEADROOM_RATE_LIMIT_ENABLED", True)
REQUESTS_PER_MINUTE = env.integer("HEADROOM_RPM", 600, maximum=10_000_000)
TOKENS_PER_MINUTE = env.integer("HEADROOM_TPM", 0)
ALERT_WEBHOOK_URL = env.text("HEADROOM_ALERT_WEBHOOK_URL")
ALERT_WEBHOOK_SECRET = env.text("HEADROOM_ALERT_WEBHOOK_SECRET")
if ALERT_WEBHOOK_URL and not ALERT_WEBHOOK_URL.startswith(("http://", "https://")):
    raise env.BadEnvironment("HEADROOM_ALERT_WEBHOOK_URL", "…", "an http:// or https:// address")
if ALERT_WEBHOOK_URL and not ALERT_WEBHOOK_SECRET:
    raise env.BadEnvironment("HEADROOM_ALERT_WEBHOOK_SECRET", "", "a secret that the webhook's receiver knows too")
UNPRICED = env.choice("HEADROOM_UNPRICED", "by_policy", ("by_policy", "refuse", "allow"))

# --- answers that are given again ------------------------------------------------------------------------------------
CACHE_ENABLED = env.boolean("HEADROOM_CACHE_ENABLED", True)
CACHE_MAX_ENTRIES = env.integer("HEADROOM_CACHE_MAX_ENTRIES", 1000, minimum=1, maximum=1_000_000)
CACHE_TTL_S = env.integer("HEADROOM_CACHE_TTL_SECONDS", 3600, minimum=1, maximum=30 * 86_400)
# Off by default: an agent that asks again wants its tools run again, and a prompt without temperature is usually one at 1.
CACHE_TOOLS = env.boolean("HEADROOM_CACHE_TOOLS", False)
CACHE_STRICT = env.boolean("HEADROOM_CACHE_STRICT", False)

# --- the road --------------------------------------------------------------------------------------------------------
ANTHROPIC_API_URL = env.base_url("ANTHROPIC_TARGET_API_URL", "https://api.anthropic.com")
OPENAI_API_URL = env.base_url("OPENAI_TARGET_API_URL", "https://api.openai.com")
MODES = {
    "token": "token",
    "cache": "cache",
    "token_mode": "token",
    "token_savings": "token",
    "token_headroom": "token",
    "cache_mode": "cache",
    "cost_savings": "cache",
}
MODE = MODES[env.choice("HEADROOM_MODE", "token", tuple(MODES))]
OPTIMIZE = env.boolean("HEADROOM_OPTIMIZE", True)
OBSERVE = env.boolean("HEADROOM_OBSERVE", False)
LOSSLESS = env.boolean("HEADROOM_LOSSLESS", False)
NO_CCR = env.boolean("HEADROOM_NO_CCR", False)
CODE_AWARE = env.boolean("HEADROOM_CODE_AWARE_ENABLED", True)
TARGET_RATIO = env.share("HEADROOM_TARGET_RATIO")
EXCLUDE_TOOLS = env.words("HEADROOM_EXCLUDE_TOOLS")
ML_MODEL_DIR = env.text("HEADROOM_ML_MODEL_DIR")
TOOL_LEVELS = env.pairs("HEADROOM_TOOL_LEVELS", ("lossless", "balanced", "deep"))
TOIN_AUTO_ADOPT = env.boolean("HEADROOM_TOIN_AUTO_ADOPT", False)
# Only an agent on this machine can read a file of ours, and only loopback says that it is.
ORIGINAL_FILES = env.boolean("HEADROOM_ORIGINAL_FILES", IS_LOOPBACK)
RETRIEVE_TOOL = env.choice("HEADROOM_RETRIEVE_TOOL", "auto", ("auto", "on", "off"))
# What goes when a context window is full, and whether results are shortened further first.
INTELLIGENT_CONTEXT = env.boolean("HEADROOM_INTELLIGENT_CONTEXT", True)
INTELLIGENT_SCORING = env.boolean("HEADROOM_INTELLIGENT_SCORING", True)
COMPRESS_FIRST = env.boolean("HEADROOM_COMPRESS_FIRST", True)
REQUEST_TIMEOUT_S = env.integer("HEADROOM_REQUEST_TIMEOUT", 600, minimum=1, maximum=86_400)
CONNECT_TIMEOUT_S = env.integer("HEADROOM_CONNECT_TIMEOUT_SECONDS", 10, minimum=1, maximum=300)
RETRY_MAX_ATTEMPTS = env.integer("HEADROOM_RETRY_MAX_ATTEMPTS", 3, minimum=1, maximum=10)
HTTP_TRANSPORT = env.choice("HEADROOM_HTTP_TRANSPORT", "aiohttp", ("aiohttp", "httpx"))
MAX_BODY_BYTES = env.integer("HEADROOM_MAX_BODY_MB", 100, minimum=1, maximum=2048) * 1024 * 1024
JOURNAL_MAX_BYTES = env.integer("HEADROOM_JOURNAL_MAX_MB", 256, minimum=1, maximum=65_536) * 1024 * 1024
# How long running streams may go on after SIGTERM or Ctrl-C.
DRAIN_TIMEOUT_S = env.integer("HEADROOM_DRAIN_TIMEOUT_SECONDS", 600, minimum=0, maximum=86_400)
# No provider cache lives longer than a day; a decision is kept twice that after its last use.
DECISION_LIFETIME_S = env.integer("HEADROOM_KEEP_ORIGINALS_HOURS", 48, minimum=48, maximum=24 * 366) * 3600
# Thirteen months, so that a month can be compared with the one a year before; sums stay for ever.
KEEP_ENTRIES_DAYS = env.integer("HEADROOM_KEEP_ENTRIES_DAYS", 400, maximum=36_500)
KEEP_BODIES_DAYS = env.integer("HEADROOM_KEEP_BODIES_DAYS", 7, minimum=1, maximum=36_500)

# --- what other tools are told ---------------------------------------------------------------------------------------
_log_file = env.text("HEADROOM_LOG_FILE")
LOG_FILE = Path(_log_file).expanduser() if _log_file else None
LOG_MESSAGES = env.boolean("HEADROOM_LOG_MESSAGES", False)
OTEL_METRICS_ENABLED = env.boolean("HEADROOM_OTEL_METRICS_ENABLED", False)
OTEL_METRICS_EXPORTER = env.choice("HEADROOM_OTEL_METRICS_EXPORTER", "otlp_http", ("otlp_http", "console"))
OTEL_METRICS_ENDPOINT = env.text("HEADROOM_OTEL_METRICS_ENDPOINT")
OTEL_METRICS_HEADERS = env.mapping("HEADROOM_OTEL_METRICS_HEADERS")
OTEL_METRICS_EXPORT_INTERVAL_MS = env.integer("HEADROOM_OTEL_METRICS_EXPORT_INTERVAL_MS", 10_000, minimum=100)
OTEL_SERVICE_NAME = env.text("HEADROOM_OTEL_SERVICE_NAME", "headroom-proxy")
LANGFUSE_ENABLED = env.boolean("HEADROOM_LANGFUSE_ENABLED", False)
LANGFUSE_PUBLIC_KEY = env.text("LANGFUSE_PUBLIC_KEY")
LANGFUSE_SECRET_KEY = env.text("LANGFUSE_SECRET_KEY")
LANGFUSE_BASE_URL = env.text("LANGFUSE_BASE_URL", "https://cloud.langfuse.com")
TELEMETRY_ENABLED = env.boolean("HEADROOM_TELEMETRY", True) and not env.boolean("DO_NOT_TRACK", False)
TELEMETRY_ENDPOINT = env.address("HEADROOM_TELEMETRY_ENDPOINT")
SDK = env.text("HEADROOM_SDK", "proxy")

# --- Django ----------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "axes",
    "django_prometheus",
    "savings",
    "budgets",
    "proxy",
]
# Of pages; the road has no middleware.
MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "headroom_site.middleware.page_headers",
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
# Wrong passwords are counted by name and address together, so that nobody can keep somebody else out from elsewhere.
AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "headroom_site.addresses.of_client"
AXES_LOCKOUT_TEMPLATE = "locked_out.html"
AXES_HTTP_RESPONSE_CODE = 429
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ADMIN = False
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
ROOT_URLCONF = "headroom_site.urls"
DATA_PLANE_URLCONF = "headroom_site.road_urls"
ASGI_APPLICATION = "headroom_site.asgi.application"
# What its API's page is made of. As an app Ninja would be imported by every command, and takes half of its time.
_ninja = find_spec("ninja")
assert _ninja is not None and _ninja.origin is not None
NINJA_DIR = Path(_ninja.origin).parent
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates", NINJA_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
# Files are served as they lie in the packages: nothing to collect, nothing from elsewhere.
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "headroom_site" / "static", NINJA_DIR / "static"]
SERVESTATIC_USE_FINDERS = True
# Looked at anew for each request: the length of a file from before an update would cut off the new one.
SERVESTATIC_AUTOREFRESH = True
SERVESTATIC_ALLOW_ALL_ORIGINS = False
LOGIN_URL = "/login"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "/dashboard"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
# Cookies know no ports: other programs on this machine have a `sessionid` of their own.
SESSION_COOKIE_NAME = "headroom_session"
CSRF_COOKIE_NAME = "headroom_csrf"
SESSION_COOKIE_AGE = 14 * 24 * 3600
CSRF_COOKIE_HTTPONLY = True
DEFAULT_EXCEPTION_REPORTER_FILTER = "headroom_site.error_reports.NoValues"
if _is_https:
    # The server in front says how the browser came; whoever goes round it is sent back to it.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_SSL_HOST = PUBLIC_URL.partition("://")[2].partition("/")[0]
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
    # Other names of the same domain are not ours to decide about.
    SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
else:
    # Plain HTTP, on this machine or where somebody decided so: there is no TLS to insist on.
    SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008", "security.W012", "security.W016"]
PROMETHEUS_EXPORT_MIGRATIONS = False
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
FORMAT_MODULE_PATH = "headroom_site.formats"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "filters": {"broken_off": {"()": "headroom_site.logs.BrokenOff"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["broken_off"]}},
    "root": {
        "handlers": ["stderr"],
        "level": env.choice("HEADROOM_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")),
    },
    "loggers": {
        "axes": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
        "uvicorn": {"level": "WARNING"},
    },
}

# --- Celery ----------------------------------------------------------------------------------------------------------
CELERY_DIR = WORKSPACE_DIR / "celery"
HAS_EMBEDDED_WORKER = (IS_EMBEDDED or not REDIS_URL) and env.boolean("HEADROOM_EMBEDDED_WORKER", True)
if IS_EMBEDDED or not REDIS_URL:
    CELERY_BROKER_URL = "filesystem://"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(CELERY_DIR / "queue"),
        "data_folder_out": str(CELERY_DIR / "queue"),
        "control_folder": str(CELERY_DIR / "control"),
    }
else:
    CELERY_BROKER_URL = REDIS_URL
# Not in the folder that beat happens to be started in.
CELERY_BEAT_SCHEDULE_FILENAME = str(WORKSPACE_DIR / "beat-schedule")
