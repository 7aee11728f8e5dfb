"""Other libraries beside this one: `fsm_engine.compat.ignite` lets handlers of pytorch-ignite attach to our engines."""
