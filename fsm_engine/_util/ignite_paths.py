"""Table of pytorch-ignite's public import paths: the module here that defines each of their names.

`fsm_engine._util.lazy_modules` serves the paths: ``import fsm_engine.X`` works for every path ``ignite.X`` of the
table, so code written for pytorch-ignite only needs the other package name.
"""

from __future__ import annotations

_BASE_LOGGER = {
    "loggers.base": "BaseLogger",
    "loggers.handlers": "BaseHandler BaseOptimizerParamsHandler=OptimizerParamsHandler BaseOutputHandler=OutputHandler",
    "loggers.weights_handlers": "BaseWeightsHandler BaseWeightsScalarHandler",
}
_TENSORBOARD = {
    "loggers.tensorboard": "TensorboardLogger OptimizerParamsHandler OutputHandler GradsHistHandler GradsScalarHandler "
    "WeightsHistHandler WeightsScalarHandler",
    "handlers.global_step": "global_step_from_engine",
}
_MLFLOW = {
    "loggers.mlflow": "MLflowLogger OptimizerParamsHandler OutputHandler",
    "handlers.global_step": "global_step_from_engine",
}
_WANDB = {
    "loggers.wandb": "WandBLogger OptimizerParamsHandler OutputHandler",
    "handlers.global_step": "global_step_from_engine",
}
_PROFILERS = {"handlers.profilers": "BasicTimeProfiler HandlersTimeProfiler"}
_PROGRESS_BAR = {"handlers.progress_bar": "ProgressBar"}
_LR_FINDER = {"handlers.lr_finder": "FastaiLRFinder"}
_OPTIMIZER_SCHEDULERS = {
    "handlers.param_scheduler": "BaseParamScheduler BatchSizeScheduler ConcatScheduler CosineAnnealingScheduler "
    "CyclicalScheduler LRScheduler LinearCyclicalScheduler ParamGroupScheduler ParamScheduler PiecewiseLinear "
    "ReduceLROnPlateauScheduler create_lr_scheduler_with_warmup",
}
_LOGGER_SETUP = {
    "compat.ignite.logger_setup": "setup_mlflow_logging setup_tb_logging setup_wandb_logging",
}
_TENSOR_TOOLS = {"compat.ignite.utils": "apply_to_tensor apply_to_type convert_tensor to_onehot"}
_DETERMINISTIC = {
    "supervised.deterministic": "DeterministicEngine ReproducibleBatchSampler keep_random_state update_dataloader"
}
_TBPTT = {"supervised.tbptt": "Tbptt_Events create_supervised_tbptt_trainer"}
_CONTRIB_METRICS = {
    "average_precision": "AveragePrecision average_precision_compute_fn",
    "cohen_kappa": "CohenKappa",
    "precision_recall_curve": "PrecisionRecallCurve precision_recall_curve_compute_fn",
    "roc_auc": "ROC_AUC RocCurve roc_auc_compute_fn roc_auc_curve_compute_fn",
}
_SCIKIT_LEARN = {**_CONTRIB_METRICS, "matthews_corrcoef": "MatthewsCorrCoef matthews_corrcoef_compute_fn"}
_ERRORS = {
    "canberra_metric": "CanberraMetric",
    "fractional_absolute_error": "FractionalAbsoluteError",
    "fractional_bias": "FractionalBias",
    "geometric_mean_absolute_error": "GeometricMeanAbsoluteError",
    "geometric_mean_relative_absolute_error": "GeometricMeanRelativeAbsoluteError",
    "manhattan_distance": "ManhattanDistance",
    "maximum_absolute_error": "MaximumAbsoluteError",
    "mean_absolute_relative_error": "MeanAbsoluteRelativeError",
    "mean_error": "MeanError",
    "mean_normalized_bias": "MeanNormalizedBias",
    "median_absolute_error": "MedianAbsoluteError median_absolute_error_compute_fn",
    "median_absolute_percentage_error": "MedianAbsolutePercentageError median_absolute_percentage_error_compute_fn",
    "median_relative_absolute_error": "MedianRelativeAbsoluteError median_relative_absolute_error_compute_fn",
    "r2_score": "R2Score",
    "wave_hedges_distance": "WaveHedgesDistance",
}
_CORRELATIONS = {
    "kendall_correlation": "KendallRankCorrelation",
    "pearson_correlation": "PearsonCorrelation",
    "spearman_correlation": "SpearmanRankCorrelation",
}
_ALL_ERRORS = {"metrics.regression_errors": " ".join(_ERRORS.values())}
_ALL_REGRESSION = {**_ALL_ERRORS, "metrics.correlation": " ".join(_CORRELATIONS.values())}
_CLUSTERING = {
    "calinski_harabasz_score": "CalinskiHarabaszScore",
    "davies_bouldin_score": "DaviesBouldinScore",
    "silhouette_score": "SilhouetteScore",
}
_TEXT = {
    "bleu": "Bleu",
    "character_error_rate": "CharacterErrorRate",
    "perplexity": "Perplexity",
    "rouge": "Rouge RougeL RougeN",
}


def _modules(prefix: str, home: str, names: dict[str, str]) -> dict[str, dict[str, str]]:
    return {f"{prefix}.{module}": {home: of_module} for module, of_module in names.items()}


PATHS: dict[str, dict[str, str]] = {
    "base": {"_util.stateful": "ResettableHandler Serializable"},
    "base.mixins": {"_util.stateful": "ResettableHandler Serializable"},
    "contrib": {},
    "contrib.engines": _TBPTT,
    "contrib.engines.common": {
        "compat.ignite.common": "add_early_stopping_by_val_score empty_cuda_cache gen_save_best_models_by_val_score "
        "save_best_model_by_val_score setup_common_distrib_training_handlers "
        "setup_common_training_handlers",
        **_LOGGER_SETUP,
    },
    "contrib.engines.tbptt": _TBPTT,
    "contrib.handlers": {
        **_OPTIMIZER_SCHEDULERS,
        **_LR_FINDER,
        **_PROFILERS,
        **_PROGRESS_BAR,
        "loggers": "BaseLogger MLflowLogger TensorboardLogger WandBLogger",
        "handlers.epoch_output_store": "EpochOutputStore",
        "handlers.global_step": "global_step_from_engine",
    },
    "contrib.handlers.base_logger": _BASE_LOGGER,
    "contrib.handlers.lr_finder": _LR_FINDER,
    "contrib.handlers.mlflow_logger": _MLFLOW,
    "contrib.handlers.param_scheduler": _OPTIMIZER_SCHEDULERS,
    "contrib.handlers.tensorboard_logger": _TENSORBOARD,
    "contrib.handlers.time_profilers": _PROFILERS,
    "contrib.handlers.tqdm_logger": _PROGRESS_BAR,
    "contrib.handlers.wandb_logger": _WANDB,
    "contrib.metrics": {
        "metrics.scikit_learn": " ".join(_CONTRIB_METRICS.values()),
        "metrics.gpu_info": "GpuInfo",
    },
    **_modules("contrib.metrics", "metrics.scikit_learn", _CONTRIB_METRICS),
    "contrib.metrics.gpu_info": {"metrics.gpu_info": "GpuInfo"},
    "contrib.metrics.regression": _ALL_ERRORS,
    **_modules("contrib.metrics.regression", "metrics.regression_errors", _ERRORS),
    "distributed.utils": {
        "distributed": "all_gather all_gather_tensors_with_shapes all_reduce available_backends backend barrier "
        "broadcast device finalize get_local_rank get_nnodes get_node_rank get_nproc_per_node get_rank get_world_size "
        "has_hvd_support has_native_dist_support has_xla_support hostname initialize model_name new_group "
        "one_rank_first one_rank_only set_local_rank show_config spawn sync",
    },
    "engine": {
        "dispatch.handles": "RemovableEventHandle",
        "engine.engine": "Engine",
        "events.events": "CallableEventWithFilter EventEnum Events EventsList",
        "runtime.state": "State",
        "supervised": "create_supervised_evaluator create_supervised_trainer supervised_evaluation_step "
        "supervised_training_step",
        "supervised.deterministic": "DeterministicEngine",
        "supervised.step_functions": "_prepare_batch=prepare_pair",
        "compat.ignite.steps": "supervised_evaluation_step_amp supervised_training_step_amp",
        "compat.ignite.utils": "convert_tensor",
    },
    "engine.deterministic": _DETERMINISTIC,
    "engine.engine": {"events.events": "Events"},
    "engine.events": {
        "dispatch.handles": "RemovableEventHandle",
        "events.events": "CallableEventWithFilter EventEnum Events EventsList",
        "runtime.state": "State",
    },
    "engine.utils": {},
    "exceptions": {"metrics.metric": "NotComputableError"},
    "handlers.base_logger": _BASE_LOGGER,
    "handlers.ema_handler": {"handlers.ema": "EMAHandler"},
    "handlers.logger_utils": _LOGGER_SETUP,
    "handlers.mlflow_logger": _MLFLOW,
    "handlers.stores": {"handlers.epoch_output_store": "EpochOutputStore"},
    "handlers.tensorboard_logger": _TENSORBOARD,
    "handlers.time_profilers": _PROFILERS,
    "handlers.timing": {"handlers.timer": "Timer"},
    "handlers.tqdm_logger": _PROGRESS_BAR,
    "handlers.utils": {"handlers.global_step": "global_step_from_engine"},
    "handlers.wandb_logger": _WANDB,
    **_modules("metrics", "metrics.scikit_learn", _SCIKIT_LEARN),
    "metrics.clustering": {"metrics.scikit_learn": " ".join(_CLUSTERING.values())},
    **_modules("metrics.clustering", "metrics.scikit_learn", _CLUSTERING),
    "metrics.cosine_similarity": {"metrics.similarity": "CosineSimilarity"},
    "metrics.entropy": {"metrics.information": "Entropy"},
    "metrics.js_divergence": {"metrics.information": "JSDivergence"},
    "metrics.kl_divergence": {"metrics.information": "KLDivergence"},
    "metrics.mean_absolute_error": {"metrics.mean_errors": "MeanAbsoluteError"},
    "metrics.mean_average_precision": {"metrics.scikit_learn": "MeanAveragePrecision"},
    "metrics.mean_pairwise_distance": {"metrics.similarity": "MeanPairwiseDistance"},
    "metrics.mean_squared_error": {"metrics.mean_errors": "MeanSquaredError"},
    "metrics.metric": {
        "metrics.reduction": "reinit__is_reduced sync_all_reduce",
        "metrics.usage": "BatchFiltered BatchWise EpochWise MetricUsage RunningBatchWise RunningEpochWise "
        "SingleEpochRunningBatchWise",
    },
    "metrics.multilabel_confusion_matrix": {"metrics.confusion_matrix": "MultiLabelConfusionMatrix"},
    "metrics.mutual_information": {"metrics.information": "MutualInformation"},
    "metrics.nlp": {"metrics.text": " ".join(_TEXT.values())},
    **_modules("metrics.nlp", "metrics.text", _TEXT),
    "metrics.precision": {"metrics.precision_recall": "Precision"},
    "metrics.psnr": {"metrics.image": "PSNR"},
    "metrics.rec_sys": {"metrics.ranking": "HitRate NDCG"},
    "metrics.rec_sys.hitrate": {"metrics.ranking": "HitRate"},
    "metrics.rec_sys.ndcg": {"metrics.ranking": "NDCG"},
    "metrics.recall": {"metrics.precision_recall": "Recall"},
    "metrics.regression": _ALL_REGRESSION,
    **_modules("metrics.regression", "metrics.regression_errors", _ERRORS),
    **_modules("metrics.regression", "metrics.correlation", _CORRELATIONS),
    "metrics.root_mean_squared_error": {"metrics.mean_errors": "RootMeanSquaredError"},
    "metrics.ssim": {"metrics.image": "SSIM"},
    "metrics.top_k_categorical_accuracy": {"metrics.top_k": "TopKCategoricalAccuracy"},
    "utils": {
        **_TENSOR_TOOLS,
        "compat.ignite.utils": _TENSOR_TOOLS["compat.ignite.utils"] + " hash_checkpoint manual_seed setup_logger",
    },
}
"""The names of each path, by the module that defines them; ``A=B`` serves B under the name A.

The path of a module that exists here, such as ``engine``, lists the names that the module has from elsewhere.
"""

_OTHER_LOGGERS = (
    "Use TensorboardLogger, MLflowLogger, WandBLogger or CSVLogger from fsm_engine.loggers, or write a subclass of "
    "fsm_engine.loggers.BaseLogger with log_values(values, step), which is all that a backend needs."
)
_TORCHMETRICS = "Use fsm_engine.metrics.attach(metric, engine, name) with {} of torchmetrics."
_MMD = "Use fsm_engine.metrics.EpochMetric with a function of all data."
_DETECTION = _TORCHMETRICS.format("torchmetrics.detection.MeanAveragePrecision")
_FID = _TORCHMETRICS.format("torchmetrics.image.FrechetInceptionDistance")
_INCEPTION_SCORE = _TORCHMETRICS.format("torchmetrics.image.InceptionScore")
_FAIRNESS = "Use fsm_engine.metrics.EpochMetric with a function of all data, such as one of fairlearn.metrics."
_STRINGS = "Use nltk or torchmetrics.functional.text."
_ROUGE = "Use fsm_engine.metrics.RougeN or RougeL, or torchmetrics.functional.text.rouge_score."
_APEX = "Use supervised_training_step(..., amp_mode='amp'): mixed precision is torch's own."
_TPU = "Use supervised_training_step(...); PyTorch XLA is not supported."
_PROCESSES = "Use fsm_engine.distributed, which works with torch's own process groups."

MISSING: dict[str, str] = {
    **{
        f"{package}.{name}": _OTHER_LOGGERS
        for package in ("handlers", "contrib.handlers")
        for logger in ("ClearML", "Neptune", "Polyaxon", "Visdom")
        for name in (f"{logger}Logger", f"{logger.lower()}_logger")
    },
    **{
        f"{module}.setup_{name}_logging": _OTHER_LOGGERS
        for module in ("handlers.logger_utils", "contrib.engines.common")
        for name in ("clearml", "neptune", "plx", "trains", "visdom")
    },
    "contrib.engines.common.setup_any_logging": "Use setup_tb_logging, setup_mlflow_logging or setup_wandb_logging.",
    "distributed.comp_models": _PROCESSES,
    "distributed.utils.registered_computation_models": _PROCESSES,
    "engine.supervised_training_step_apex": _APEX,
    "engine.supervised_training_step_tpu": _TPU,
    "metrics.CommonObjectDetectionMetrics": _DETECTION,
    "metrics.FID": _FID,
    "metrics.HSIC": _MMD,
    "metrics.InceptionScore": _INCEPTION_SCORE,
    "metrics.MaximumMeanDiscrepancy": _MMD,
    "metrics.ObjectDetectionAvgPrecisionRecall": _DETECTION,
    "metrics.coco_tensor_list_to_dict_list": _DETECTION,
    "metrics.fairness": _FAIRNESS,
    "metrics.gan": f"{_FID} {_INCEPTION_SCORE}",
    "metrics.hsic": _MMD,
    "metrics.maximum_mean_discrepancy": _MMD,
    "metrics.nlp.utils": _STRINGS,
    **{
        f"metrics.nlp.rouge.{name}": _ROUGE
        for name in (
            "MultiRefAverageReducer",
            "MultiRefBestReducer",
            "MultiRefReducer",
            "Score",
            "compute_lcs_scores",
            "compute_ngram_scores",
        )
    },
    "metrics.vision": _DETECTION,
    "utils.deprecated": "Use warnings.deprecated of Python 3.13, or typing_extensions.deprecated.",
}
"""Paths and names that are missing on purpose, each with the advice that its error gives."""
