from model_service.base import NamedService


class TfServingBaseService(NamedService):
    """TensorFlow: model_path is the model directory."""
