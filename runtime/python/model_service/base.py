"""What all base services are."""


class BaseService:
    """data -> _preprocess -> _inference -> _postprocess -> answer, which becomes JSON.

    WANTS says what model_path is where the engine has a model file of its own: None is the model
    directory, else the patterns of the file (or directory) in it. TEXT: a JSON body is handed over
    as its text (waybill_service.body.JsonText).
    """

    WANTS = None
    NAMED = True  # the constructor takes (model_name, model_path), else (model_path)
    TEXT = False

    def inference(self, data):
        return self._postprocess(self._inference(self._preprocess(data)))

    def _preprocess(self, data):
        return data

    def _inference(self, data):
        raise NotImplementedError(
            "%s.%s has no method _inference(self, data): write it, the base class knows no library "
            "that could run the model" % (type(self).__module__, type(self).__qualname__))

    def _postprocess(self, data):
        return data


class NamedService(BaseService):
    def __init__(self, model_name, model_path):
        self.model_name = model_name
        self.model_path = model_path


class PathService(BaseService):
    NAMED = False
    TEXT = True

    def __init__(self, model_path):
        self.model_path = model_path
