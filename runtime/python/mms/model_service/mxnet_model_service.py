from model_service.base import NamedService


class MXNetBaseService(NamedService):
    """MXNet: model_path is the model directory."""
