from model_service.base import NamedService


class CaffeBaseService(NamedService):
    """Caffe: model_path is the model directory."""
