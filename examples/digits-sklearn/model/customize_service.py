"""Recognises a handwritten digit with scikit-learn.

In:  {"image": [[p, ...8], ...8]}, pixels from 0 (paper) to 16 (ink)
Out: {"digit": 7, "scikit_learn": "1.2.1"}
"""
import json

import joblib
import numpy
import sklearn

from model_service.python_model_service import XgSklServingBaseService


class DigitService(XgSklServingBaseService):
    def __init__(self, model_path):
        super().__init__(model_path)
        self.model = joblib.load(model_path)

    def _preprocess(self, data):
        image = numpy.array(json.loads(data).get("image"), dtype=float)
        if image.shape != (8, 8) or not ((image >= 0) & (image <= 16)).all():
            raise ValueError("image must be 8 rows of 8 pixels from 0 to 16")
        return image.reshape(1, 64)

    def _inference(self, data):
        return self.model.predict(data)

    def _postprocess(self, data):
        return {"digit": data[0], "scikit_learn": sklearn.__version__}
