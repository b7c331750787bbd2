"""Ends a fit as a power cut would."""

import keras


class Crash(keras.callbacks.Callback):
    """Interrupts the first fit when the given epoch begins."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            self.epoch = None
            raise KeyboardInterrupt
