from model_service.base import NamedService


class PTServingBaseService(NamedService):
    """PyTorch: model_path is the model file."""

    WANTS = ("*.pth", "*.pt")
