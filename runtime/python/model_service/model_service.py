from model_service.base import NamedService


class SingleNodeService(NamedService):
    """MindSpore: model_path is the model directory."""
