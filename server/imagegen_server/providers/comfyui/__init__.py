"""ComfyUI, a server of one's own that runs graphs of nodes: previews of every step, progress of every node.

Sources: `server.py`, `execution.py`, `nodes.py`, `latent_preview.py`, `comfy_execution/progress.py` and
`comfy_execution/jobs.py` of github.com/Comfy-Org/ComfyUI, of v0.3.64 and as they stood in 2026, and its examples of
scripts.
"""

from imagegen_server.providers.base import ProviderType, Remote, built_by

from .settings import ComfyUISettings

__all__ = ["PROVIDER", "ComfyUISettings"]

PROVIDER = ProviderType(
    name="comfyui",
    settings=ComfyUISettings,
    build=built_by("imagegen_server.providers.comfyui.provider:ComfyUI"),
    remote=Remote(base_url="http://127.0.0.1:8188", key_required=False),
)
