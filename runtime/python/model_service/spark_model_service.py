from model_service.base import PathService


class SparkServingBaseService(PathService):
    """Spark MLlib: model_path is the saved model, a directory."""

    WANTS = ("spark_model",)
