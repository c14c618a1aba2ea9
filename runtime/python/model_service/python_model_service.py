from model_service.base import PathService


class XgSklServingBaseService(PathService):
    """XGBoost and scikit-learn: model_path is the model file."""

    WANTS = ("*.m", "*.joblib", "*.pkl", "*.ubj", "*.bst", "*.json")
